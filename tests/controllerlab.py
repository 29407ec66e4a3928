"""The control loop as a machine that reads transcripts: commands in, effects out, all as text.

Digests are shown as x1, x2, ... in the order in which they appear, so that a transcript says which are equal
without saying what is in them. Held for every single step: the loop gives the same effects twice, nothing is sent
before it is saved, and the generation never goes back.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from trafficd.app.files import Content, offer_fabric, offer_policy
from trafficd.app.restore import restored
from trafficd.convert.revive import policy_source
from trafficd.core.claims import leads
from trafficd.core.effects import (
    Accepted,
    Declined,
    Effect,
    Greet,
    Persist,
    Publish,
    Refuse,
    SendDesired,
    SendGrant,
    SendHeader,
    SendPause,
    SendRetry,
)
from trafficd.core.events import (
    Acknowledged,
    Event,
    Gone,
    Hello,
    InventoryReported,
    LeaveGiven,
    PauseSet,
    RecoveryConfirmed,
    RetryAsked,
    RoleSet,
    RolledBack,
    RolloutSteered,
    Settle,
    StatusReported,
    Tick,
)
from trafficd.core.loop import step, unsaved
from trafficd.core.losses import Losses
from trafficd.core.memory import pick
from trafficd.core.overview import overview
from trafficd.core.plan import PlanOptions
from trafficd.core.records import LogRecord, Origin
from trafficd.core.rollout import Rollout
from trafficd.core.state import ControlState, Saved
from trafficd.server.policy import offer
from trafficd_topology.diff import Disruption
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    LinkLayer,
    NodeInventory,
    PortInventory,
    Problem,
    Role,
    ScopeKind,
)
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation, ScopeStatus

DATA = Path(__file__).parent / "scenarios" / "controller" / "data"
UUID = "controller-1"
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
CONDITIONS = {
    "ready": (TRUE, TRUE, FALSE, TRUE),
    "drifted": (TRUE, TRUE, TRUE, FALSE),
    "failed": (TRUE, FALSE, FALSE, FALSE),
    "pending": (UNKNOWN, UNKNOWN, UNKNOWN, FALSE),
    "latched": (FALSE, FALSE, FALSE, FALSE),
    "waiting": (FALSE, FALSE, FALSE, FALSE),
    "busy": (FALSE, FALSE, FALSE, FALSE),
}


def generation(text: str) -> Generation:
    epoch, _, number = text.partition(".")
    return Generation(int(epoch), int(number))


def _mark(rollout: Rollout, node: str) -> str:
    if node in rollout.excused:
        return "(excused)"
    return "*" if node in rollout.admitted else ""


class Machine:
    def __init__(self) -> None:
        self.saved = Saved(UUID, Generation(1, 0))
        self.state = self.fresh()
        self.now = 10_000.0
        self.full = False
        self.held: dict[str, tuple[Generation, str]] = {}
        self.sessions = 100
        self.records: tuple[LogRecord, ...] = ()
        self.names: dict[str, str] = {"": "none"}
        self.last: dict[int, SendDesired | SendHeader] = {}

    def fresh(self) -> ControlState:
        return restored(self.saved, PlanOptions())

    def run(self, line: str) -> str:
        """One command; returns the lines it caused."""
        word, *rest = shlex.split(line)
        command: Callable[..., Iterator[str]] = getattr(self, f"do_{word}")
        plain = [r for r in rest if "=" not in r]
        named = dict(r.split("=", 1) for r in rest if "=" in r)
        return "\n".join(command(*plain, **named)) or "nothing"

    # What a transcript may say.

    def do_fabric(self, name: str) -> Iterator[str]:
        yield from self.apply(offer_fabric("fabric.yaml", self.content(name)))

    def do_policy(self, owner: str, name: str = "", remove: str = "") -> Iterator[str]:
        content = self.content(name) if name else Content()
        if owner == "file":
            yield from self.apply(offer_policy("policy.yaml", content))
        else:
            yield from self.apply(offer(content.text, tuple(remove.split(",")) if remove else ()))

    def do_hello(self, who: str, ports: str = "", **said: str) -> Iterator[str]:
        node, session = self.who(who)
        accepted = generation(said["accepted"]) if "accepted" in said else None
        event = Hello(
            session,
            node,
            self.inventory(node, ports, said.get("subnets", "")),
            follows=said.get("follows", ""),
            accepted=accepted,
            digest=self.digest(said.get("digest", "")),
            boot_id=said.get("boot", "boot-1"),
            kinds=frozenset(said["kinds"].split(",")) if "kinds" in said else frozenset(),
        )
        yield from self.apply(event)

    def do_gone(self, who: str) -> Iterator[str]:
        node, session = self.who(who)
        yield from self.apply(Gone(session, node))

    def do_ready(self, *nodes: str) -> Iterator[str]:
        """These nodes, or all that are connected, acknowledge what they were told last and report it ready."""
        for name in nodes or sorted(self.state.nodes):
            session = self.state.nodes[name].session
            if session is None or session not in self.last:
                continue
            who, ports = f"{name}#{session}", [p.name for p in self.state.nodes[name].inventory.ports]
            self.held[name] = self.last[session].generation, self.last[session].digest
            yield from self.do_ack(who)
            yield from self.do_status(who, **dict.fromkeys(ports, "ready"))
        yield from self.do_settle()

    def do_reconnect(self) -> Iterator[str]:
        """Every node that was ready once says hello in a new session, with what it holds; the answers are counted."""
        answers = []
        for name, (number, digest) in sorted(self.held.items()):
            self.sessions += 1
            inventory = self.inventory(name, "s0")
            event = Hello(self.sessions, name, inventory, UUID, number, digest, boot_id="boot-1")
            answers += [line.split()[0] for line in self.apply(event)]
        yield " ".join(f"{answers.count(a)} {a}" for a in sorted(set(answers)))
        yield from self.do_settle()

    def do_ack(self, who: str, refuse: str = "") -> Iterator[str]:
        node, session = self.who(who)
        sent = self.last[session]
        yield from self.apply(Acknowledged(session, node, sent.generation, sent.digest, not refuse, refuse))

    def do_status(self, who: str, **ports: str) -> Iterator[str]:
        node, session = self.who(who)
        node_state = self.state.nodes[node]
        observed = node_state.acknowledged or Generation()
        scopes = tuple(self.scope(name, how, observed) for name, how in ports.items())
        yield from self.apply(StatusReported(session, node, scopes))

    def do_inventory(self, who: str, ports: str = "", subnets: str = "") -> Iterator[str]:
        node, session = self.who(who)
        yield from self.apply(InventoryReported(session, node, self.inventory(node, ports, subnets)))

    def do_role(self, host: str, role: str) -> Iterator[str]:
        yield from self.apply(RoleSet(host, Role(role)))

    def do_settle(self) -> Iterator[str]:
        yield from self.apply(Settle())

    def do_tick(self, seconds: str) -> Iterator[str]:
        self.now += float(seconds)
        yield from self.apply(Tick())

    def do_loses(self, **nodes: str) -> Iterator[str]:
        """From now on these nodes discard, and send again, so many packets a second."""
        found = {n: Losses(*map(float, how.split("+"))) for n, how in nodes.items()}
        yield from self.apply(Tick({**self.state.losses, **found}))

    def do_disk(self, how: str) -> Iterator[str]:
        self.full = how == "full"
        yield f"disk {how}"

    def do_pause(self, reason: str = "") -> Iterator[str]:
        yield from self.apply(PauseSet(True, reason, Origin("operator", 1)))

    def do_resume(self) -> Iterator[str]:
        yield from self.apply(PauseSet(False, "", Origin("operator", 1)))

    def do_retry(self, *scopes: str) -> Iterator[str]:
        yield from self.apply(RetryAsked(scopes, Origin("operator", 1)))

    def do_allow(self, disruption: str, nodes: str = "1") -> Iterator[str]:
        yield from self.apply(LeaveGiven(Disruption[disruption.upper()], int(nodes), Origin("operator", 1)))

    def do_rollback(self, to: str = "") -> Iterator[str]:
        entry = pick(self.state, generation(to) if to else None)
        if isinstance(entry, Problem):
            yield f"no entry: {entry.reason}"
            return
        sources = tuple(policy_source(s) for s in entry.sources)
        yield from self.apply(RolledBack(entry, sources, Origin("operator", 1)))

    def do_rollout(self, what: str) -> Iterator[str]:
        yield from self.apply(RolloutSteered(what == "abort", Origin("operator", 1)))

    def do_history(self) -> Iterator[str]:
        for e in self.state.history:
            told = "; ".join(f"{s.owner} {s.source} {'+'.join(s.names) or 'none'}" for s in e.sources)
            yield f"{e.generation} {e.cause or '(before)'} {e.origin.who or '-'}: {told}"

    def do_waves(self) -> Iterator[str]:
        """How far the rollout is."""
        r = self.state.rollout
        if r is None:
            yield "no rollout"
            return
        for i, wave in enumerate(r.waves, 1):
            yield f"wave {i}: {', '.join(f'{n}{_mark(r, n)}' for n in wave)}"
        why = f": {r.reason}" if r.reason else ""
        yield f"{r.phase} at wave {r.wave + 1}{why}"

    def do_log(self) -> Iterator[str]:
        for r in self.records:
            changed = f" {self.label(r.before)} -> {self.label(r.after)}" if r.before or r.after else ""
            yield f"{r.origin.who or '-'}: {r.what} {r.subject}{changed} at {r.generation}"

    def do_recover(self, uuid: str) -> Iterator[str]:
        yield from self.apply(RecoveryConfirmed(uuid, Origin("operator", 1)))

    def do_leads(self) -> Iterator[str]:
        yield from map(str, leads(self.state))

    def do_lose(self) -> Iterator[str]:
        """The state file is gone: a new one is begun."""
        self.saved = Saved("controller-2", Generation(1, 0))
        yield from self.do_restart("recover")

    def do_restart(self, how: str = "") -> Iterator[str]:
        self.state = replace(self.fresh(), recover=how == "recover")
        yield f"generation {self.state.generation}"

    def do_restore(self, number: str) -> Iterator[str]:
        """The state file is put back from an older copy that knew only this generation."""
        self.saved = Saved(
            UUID,
            generation(number),
            self.saved.policies,
            self.saved.fabric,
            self.saved.roles,
            self.saved.digests,
            self.saved.writers,
        )
        yield from self.do_restart()

    def do_show(self) -> Iterator[str]:
        seen = overview(self.state)
        for c in seen.conditions:
            yield f"{c.type} {c.status} {c.reason}: {c.message}"
        for name, ok in seen.in_sync:
            yield f"{name} {'in sync' if ok else 'not in sync'}"
        for r in self.state.rejected:
            yield from (f"rejected {r.source}: {p if p.path else p.reason}" for p in r.problems)
        for note in seen.notes:
            yield f"note: {note}"

    # How it is done.

    def apply(self, event: Event) -> Iterator[str]:
        after, effects = step(self.state, event, self.now)
        assert (after, effects) == step(self.state, event, self.now), "the loop is not a function"
        assert after.generation >= self.state.generation, "the generation went back"
        kinds = [isinstance(e, Persist) for e in effects]
        assert not any(kinds[1:]), "something was done before it was saved"
        if any(kinds) and self.full:
            after, effects = unsaved(self.state, event, "no room left")
        self.state = after
        for effect in effects:
            yield self.text(effect)

    def text(self, effect: Effect) -> str:  # noqa: C901 - a table, written as match for its types
        match effect:
            case Persist(saved, records):
                self.saved = saved
                self.records += records
                owners = ",".join(f"{'+'.join(p.names) or 'none'}({p.owner})" for p in saved.policies)
                roles = ",".join(f"{r.host}={r.role}" for r in saved.roles)
                return f"persist {saved.generation} policies={owners or '-'} roles={roles or '-'}"
            case Greet(session, node, pause):
                return f"greet {node}#{session}{' paused' if pause else ''}"
            case SendPause(session, node, pause):
                return f"send {node}#{session} {'pause: ' + pause.reason if pause else 'resume'}"
            case SendRetry(session, node, scopes):
                return f"send {node}#{session} retry {', '.join(f'{k} {n}' for k, n in scopes)}"
            case SendGrant(session, w, number, ttl_s):
                flap = w.disruption.name.lower()
                return f"send {w.node}#{session} grant {w.kind} {w.name} {flap} {number} for {ttl_s:g} s"
            case Refuse(session, node, reason):
                return f"refuse {node}#{session}: {reason}"
            case SendDesired(session, node, number, digest, scopes):
                self.last[session] = effect
                told = ", ".join(f"{s.kind} {s.name} {s.driver} {s.mode} {s.policy}" for s in scopes)
                return f"send {node}#{session} desired {number} {self.label(digest)}: {told or 'nothing'}"
            case SendHeader(session, node, number, digest):
                self.last[session] = effect
                return f"send {node}#{session} header {number} {self.label(digest)}"
            case Accepted(what, source, number):
                return f"accepted {what} {source} at {number}".replace("  ", " ")
            case Declined(what, source, problems, blame):
                reasons = "; ".join(str(p) if p.path else p.reason for p in problems)
                return f"declined {what} {source} ({blame}): {reasons}".replace("  ", " ")
            case Publish():
                return "publish"

    def label(self, digest: str) -> str:
        return self.names.setdefault(digest, f"x{len(self.names)}")

    def digest(self, label: str) -> str:
        known = {v: k for k, v in self.names.items()}
        return known.get(label, hashlib.sha256(label.encode()).hexdigest()) if label else ""

    @staticmethod
    def who(text: str) -> tuple[str, int]:
        node, _, session = text.partition("#")
        return node, int(session)

    @staticmethod
    def content(name: str) -> Content:
        return Content((DATA / f"{name}.yaml").read_bytes())

    @staticmethod
    def inventory(node: str, ports: str, subnets: str = "") -> NodeInventory:
        offers = (DriverOffer("tc", True),)
        names = ports.split(",") if ports else []
        fabrics = subnets.split(",") if subnets else []
        return NodeInventory(
            node,
            tuple(
                PortInventory(
                    n.rstrip("!"), LinkLayer.ETHERNET, 100_000_000, not n.endswith("!"), offers=offers
                )
                for n in names
            ),
            tuple(FabricInventory(f, offers=(DriverOffer("opensm", True),)) for f in fabrics),
        )

    @staticmethod
    def scope(name: str, how: str, observed: Generation) -> ScopeStatus:
        conditions = tuple(
            Condition(kind, status, "Reported", observed_generation=observed.number)
            for kind, status in zip(ConditionType, CONDITIONS[how], strict=True)
        )
        status = ScopeStatus(ScopeKind.PORT, name, "tc", Mode.ENFORCE, observed, conditions)
        if how in ("waiting", "busy"):
            return replace(status, waiting_for=Disruption.LINK_FLAP, drained=how == "waiting")
        return replace(status, latched=how == "latched")
