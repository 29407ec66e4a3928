"""The path engine: owns the ledger and what engines report, reads the latest snapshot, answers.

Not thread-safe and never blocking: whoever owns it calls it from one event loop, or under a lock. ``now`` is the
owner's monotonic clock in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from trafficd.choice.account import Account
from trafficd.choice.evidence import Shadow
from trafficd.choice.feedback import Feedback, Trial
from trafficd.choice.ledger import Held, Ledger, bounded_ttl
from trafficd.choice.registry import DEFAULT, engine_rule_names, strategy_names, strategy_of
from trafficd.choice.request import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESOURCE_EXHAUSTED,
    Answer,
    EngineRef,
    EngineReport,
    Fallback,
    FallbackReason,
    ItemProblem,
    Lease,
    Leg,
    Plan,
    Request,
    Reservation,
    reservation_of,
)
from trafficd.choice.resolve import resolve
from trafficd.choice.roster import Known, Roster, problem_of
from trafficd.choice.shadow import seconds_of
from trafficd.choice.snapshot import Engine, NicState, Snapshot
from trafficd.choice.view import Given, Ranked, Strategy, View

LEAST_OF_RATE = 1000
"""KV is reckoned to get at least a thousandth of a NIC's rate, so that no expected time is infinite."""
MOST_DELAY_S = 0.2
"""A snapshot that comes later than the quickest one by more than this means that a clock was set."""
NO_SNAPSHOT = Answer((), fallback=Fallback(FallbackReason.NO_TELEMETRY, "there is no snapshot yet"))
MOST_ENGINES = 1024
"""Engines of one node: a reporter that counts its ranks up and never ends one must not fill memory."""
UNREACHABLE = ItemProblem("request", NOT_FOUND, "no candidate reaches the source through NICs that are up")


class PathEngine:
    """``name`` begins the ids of its leases: choose one that no other or earlier engine has.

    A request may name its strategy and its rule for engines; else ``strategy`` chooses, and without one what the
    snapshot's settings name (see ``registry``).
    """

    def __init__(self, name: str, strategy: Strategy | None = None) -> None:
        self.ledger = Ledger(name)
        self.feedback = Feedback()
        self._strategy = strategy
        self._given = Given()
        self._roster = Roster()
        self._view: View | None = None
        self._nameless = 0
        self._offset = math.inf

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest; None before the first."""
        return None if self._view is None else self._view.snapshot

    def swap(self, snapshot: Snapshot, now: float) -> None:
        """Take a snapshot made from this engine's own ledger: rates and ages count, its queues are ours already."""
        old, layout = self._view, snapshot.layout
        if old is not None and old.layout is layout:
            accounts = old.accounts
        else:
            accounts = [self.ledger.account(name) for name in layout.index.nic_names]
        offset = self._clock_offset(snapshot, now)
        valid = snapshot.valid_for_ms / 1000
        times = [s.measured_unix_ns for s in snapshot.states]
        measured = [-math.inf if t is None else t / 1e9 + offset for t in times]
        for state, account, at in zip(snapshot.states, accounts, measured, strict=True):
            _measure(state, account, None if at + valid < now else at, now)
        fresh = [at + valid for at in measured]
        lanes = {
            (i, m.link_layer): (m.traffic_class, m.lane_id) for m in snapshot.markings for i in m.intents
        }
        known = self._roster, self._given, self.feedback
        self._view = View(snapshot, layout, layout.index, snapshot.states, accounts, fresh, *known, lanes)
        if old is not None and old.layout is layout:
            for before, state, account in zip(old.states, snapshot.states, accounts, strict=True):
                if before.up is not state.up or before.rate_bps != state.rate_bps:
                    self.feedback.forget(account)
            self._view.roles, self._view.rankings = old.roles, old.rankings

    def follow(self, snapshot: Snapshot, now: float) -> None:
        """Take somebody else's snapshot: its queues and engines replace what was known here."""
        self._roster.replace(snapshot.engines, now)
        self.swap(snapshot, now)
        for name, state in zip(snapshot.layout.index.nic_names, snapshot.states, strict=True):
            account = self.ledger.account(name)
            account.restate(float(state.outstanding_bytes), now)
            account.relearn(state.learned)

    def recommend(self, request: Request, now: float) -> Answer:
        """Plans, best first, and a lease when one was asked for."""
        self.ledger.expire(now)
        view = self._view
        if view is None:
            return NO_SNAPSHOT
        held = self.ledger.held(request.id) if request.reserve_s > 0 else None
        if held is not None and held.answer is not None:
            return held.answer._replace(lease=Lease(held.id, held.ends - now))
        task, problems = resolve(view, request, request.id or self._unnamed(), now)
        strategy = self._chooser(view, request, problems)
        self._given.turn += 1
        ranked = Ranked((), (), None) if task is None else strategy.rank(task)
        if not ranked.plans and not problems:
            problems.append(UNREACHABLE)
        answer = _answer(view, ranked, tuple(problems))
        return self._reserved(answer, request, now) if request.reserve_s > 0 and answer.plans else answer

    def _chooser(self, view: View, request: Request, problems: list[ItemProblem]) -> Strategy:
        """The strategy asked for, else the policy's; a name that is unknown is a problem and the default answers."""
        settings = view.snapshot.settings
        if self._strategy is not None and not request.strategy and not request.engines:
            return self._strategy
        name, engines = request.strategy or settings.strategy, request.engines or settings.engines
        found = strategy_of(name, engines)
        if found is not None:
            return found
        for item, asked, names in (
            ("strategy", name, strategy_names()),
            ("engines", engines, ("", *engine_rule_names())),
        ):
            if asked not in names:
                reason = f"no such choice; there are {', '.join(filter(None, names))}"
                problems.append(ItemProblem(f"{item} {asked}", INVALID_ARGUMENT, reason))
        known = strategy_of(name) or strategy_of(DEFAULT)
        assert known is not None
        return known

    def reserve(self, reservation: Reservation, now: float) -> tuple[Lease, tuple[ItemProblem, ...]]:
        """Account for a choice that the caller made itself; unknown NICs are left out and named."""
        known, problems = self._known(reservation)
        return self.ledger.reserve(known, now), problems

    def renew(self, lease_id: str, reservation: Reservation, now: float) -> Lease:
        """Restate a lease, whether it is known or not; one that no longer names its readers has been read."""
        stated, held = self._known(reservation)[0], self.ledger.lease(lease_id)
        if held is not None and held.trials:
            left = {leg.nic for leg in stated.legs if leg.bytes}
            if not any(trial.reader.nic in left for trial in held.trials):
                self._was_read(held, now)
        return self.ledger.renew(lease_id, stated, now)

    def progress(self, lease_id: str, moved_bytes: int, now: float) -> bool:
        """So many bytes of a read have come, of all its legs together; False when its lease had ended."""
        held = self.ledger.lease(lease_id)
        size = 0 if held is None else held.size
        if held is not None and moved_bytes >= size:
            self._was_read(held, now)
        return self.ledger.moved(lease_id, min(moved_bytes / size, 1.0) if size else 1.0, now)

    def release(self, lease_id: str, now: float, *, cancelled: bool = False) -> bool:
        """End a lease; False when it had ended. What a read took is learned from unless it was cancelled."""
        held = self.ledger.lease(lease_id)
        existed = self.ledger.release(lease_id, now)
        if existed and held is not None and held.size and not cancelled:
            self._was_read(held, now)
            self.feedback.served(now - held.read_at, held.ahead)
        return existed

    def _alive(self, held: Held) -> bool:
        """Whether all its readers are up: what a dead one held up says nothing of the others."""
        view = self._view
        ids = {} if view is None else view.index.nic_ids
        found = (ids.get(trial.reader.nic) for trial in held.trials)
        return view is not None and all(i is not None and view.states[i].up for i in found)

    def _was_read(self, held: Held, now: float) -> None:
        """Its bytes have all come: once per lease."""
        if held.trials:
            if self._alive(held):
                self.feedback.ended(held.trials, now - held.since, now)
            held.trials, held.read_at = (), now

    def report(self, reports: Iterable[EngineReport], now: float) -> tuple[ItemProblem, ...]:
        """Take engines' reports; what cannot be used is named and the rest is taken."""
        found = [self._report(i, report, now) for i, report in enumerate(reports)]
        return tuple(p for p in found if p is not None)

    def forget(self, refs: Iterable[EngineRef], unheard_since: float) -> None:
        """Drop engines not heard of since then: whoever spoke for them is gone."""
        known = self._roster.known
        for ref in [r for r in refs if r in known and known[r].heard_at <= unheard_since]:
            self._gone(ref)

    def engines(self) -> tuple[Engine, ...]:
        """Every engine as last reported, for a snapshot."""
        return tuple(known.engine for known in self._roster.known.values())

    def learned(self) -> dict[str, float]:
        """Learned rate over claimed one per ``node/nic``, of those that are slower than they claim; for a snapshot."""
        return {a.nic: a.learned for a in self.feedback.accounts() if a.learned < 1.0}

    def shadow(self, request: Request, own: Plan, now: float) -> Answer:
        """Ours beside the scheduler's own choice: only that is reserved, where the request asks for it."""
        view = self._view
        answer = self.recommend(replace(request, reserve_s=0.0), now)
        if view is None or not answer.plans:
            return answer
        seconds, problem = seconds_of(view, own, now)
        ours, _ = seconds_of(view, answer.plans[0], now)
        lease = None
        if request.reserve_s > 0:
            lease, problems = self.reserve(reservation_of(own, request.id, request.reserve_s), now)
            answer = answer._replace(problems=answer.problems + problems)
        return answer._replace(lease=lease, shadow=Shadow(seconds, ours, problem))

    def totals(self, now: float) -> dict[str, int]:
        """Outstanding bytes per ``node/nic`` where there are any, for a snapshot."""
        return self.ledger.totals(now)

    def _clock_offset(self, snapshot: Snapshot, now: float) -> float:
        """Our clock less the builder's: that of the quickest snapshot, so that delays do not shift measurements."""
        offset = now - snapshot.built_unix_ns / 1e9
        if not 0 <= offset - self._offset <= MOST_DELAY_S:
            self._offset = offset
        return self._offset

    def _unnamed(self) -> str:
        """Requests without an id must not all break ties the same way."""
        self._nameless += 1
        return str(self._nameless)

    def _reserved(self, answer: Answer, request: Request, now: float) -> Answer:
        plan = answer.plans[0]
        lease = self.ledger.reserve(reservation_of(plan, request.id, bounded_ttl(request.reserve_s)), now)
        answer = answer._replace(lease=lease)
        held = self.ledger.lease(lease.id)
        if held is not None:
            held.answer = answer if request.id else None
            held.trials = tuple([self._trial(leg, now) for leg in plan.legs])
            held.size = sum([leg.bytes for leg in plan.legs])
            held.serve(self._assign(plan))
        return answer

    def _trial(self, leg: Leg, now: float) -> Trial:
        """Of a leg that was just reserved. Where copies follow the read, only what is read from storage is timed."""
        reader = self.ledger.account(leg.nics[0])
        limit = leg.bottleneck.removeprefix("nic:")
        if leg.loads or limit == reader.nic or limit not in leg.nics:
            return Trial(reader, None, reader.outstanding(now) / reader.available * reader.learned)
        other = self.ledger.account(limit)
        return Trial(reader, other, leg.expected_seconds * other.learned)

    def _assign(self, plan: Plan) -> tuple[Known, ...]:
        """The paper's immediate update: what was just given to an engine counts until it reports again."""
        size = 0
        for leg in plan.legs:
            size += leg.bytes
            self._given.sides[leg.side - 1] += leg.bytes
        found = []
        for ref in (plan.prefill, plan.decode):
            known = None if ref is None else self._known_engine(ref)
            if known is not None:
                known.assigned += 1
                known.assigned_bytes += size
                known.given += size
                found.append(known)
        return tuple(found)

    def _known_engine(self, ref: EngineRef) -> Known | None:
        """As announced, or as it stands for a node whose engines never did."""
        found = self._roster.known.get(ref)
        return self._view.strangers.get(ref) if found is None and self._view is not None else found

    def _known(self, reservation: Reservation) -> tuple[Reservation, tuple[ItemProblem, ...]]:
        """Without the NICs that the fabric does not have; before the first snapshot every name is taken."""
        if self._view is None:
            return reservation, ()
        nics = self._view.index.nic_ids
        problems = tuple(
            ItemProblem(f"legs[{i}] {leg.nic}", NOT_FOUND, "no such NIC")
            for i, leg in enumerate(reservation.legs)
            if leg.nic not in nics
        )
        if not problems:
            return reservation, ()
        return replace(reservation, legs=tuple(leg for leg in reservation.legs if leg.nic in nics)), problems

    def _report(self, position: int, report: EngineReport, now: float) -> ItemProblem | None:
        ref, view = report.engine, self._view
        if view is not None and ref.node not in view.index.node_ids:
            return ItemProblem(f"engines[{position}] {ref.node}/{ref.rank}", NOT_FOUND, "no such node")
        if report.gone:
            self._roster.announced.add(ref.node)
            self._gone(ref)
            return None
        if ref not in self._roster.known and len(self._roster.by_node.get(ref.node, ())) >= MOST_ENGINES:
            reason = f"the node has {MOST_ENGINES} engines already: report those that ended as gone"
            return ItemProblem(f"engines[{position}] {ref.node}/{ref.rank}", RESOURCE_EXHAUSTED, reason)
        if self._roster.report(report, now) and view is not None:
            view.roles.clear()
            view.rankings.clear()
        size = report.queue_bytes
        if size is not None:
            self._restate(ref.node, size, now)
        return problem_of(position, report)

    def _gone(self, ref: EngineRef) -> None:
        self._roster.drop(ref)
        if self._view is not None:
            self._view.roles.clear()
            self._view.rankings.clear()

    def _restate(self, node: str, size: int, now: float) -> None:
        """A node's queue, over its storage NICs in proportion to their rates."""
        view = self._view
        nics = () if view is None else view.index.readers[view.index.node_ids[node]]
        total = sum(view.states[i].rate_bps for i in nics) if view is not None else 0
        for i in nics:
            assert view is not None
            view.accounts[i].restate(size * view.states[i].rate_bps / max(total, 1), now)


def _measure(state: NicState, account: Account, measured_at: float | None, now: float) -> None:
    """Tell a NIC's account what was measured; None: nothing that is still valid."""
    account.offered = state.kv_available_bps / 8
    if measured_at is None:
        account.unmeasured()
    else:
        account.sample(float(state.kv_bytes_per_s), measured_at, now)
    account.reckon(max(state.rate_bps / 8 / LEAST_OF_RATE, 1.0))


def _answer(view: View, ranked: Ranked, problems: tuple[ItemProblem, ...]) -> Answer:
    states, oldest = view.states, 0
    for i in ranked.nics:
        at = states[i].measured_unix_ns
        if at is not None and (at < oldest or not oldest):
            oldest = at
    snapshot = view.snapshot
    return Answer(
        ranked.plans,
        snapshot.version,
        oldest,
        snapshot.valid_for_ms,
        ranked.fallback,
        None,
        problems,
        ranked.explanation,
    )
