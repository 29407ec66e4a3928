"""Any order of edits, crashes, losses, pauses and lying devices: each port ends as desired or as it was before.

Held at every step: no port is left between two states once nothing is under way on it, and per generation there is at most one step
forward and one restore, unless the process was killed in it, an error passed by itself, somebody asked for a retry,
or another writer changed the device.
Held at the end, when everything behaves again: first without help, each port as desired or as before; then,
after a retry, exactly as desired, or as found where no policy wants it.

``SOAK_MINUTES`` makes it run that long with other examples each time (``make soak``); else a seeded slice.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from agentlab import EMPTY, A, B
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Search
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from lab.simagent import PORTS, Turn
from lab.simcluster import Cluster

from trafficd.core.events import PauseSet, RetryAsked, RolloutSteered, Settle
from trafficd.core.records import Origin
from trafficd.core.rollout import Phase
from trafficd_agent.apply import Purpose, Result
from trafficd_agent.desired import ScopeId
from trafficd_agent.drivers.fake import Behaviour, Error
from trafficd_agent.scope import Stage
from trafficd_topology.diff import State, render
from trafficd_topology.model import ScopeKind
from trafficd_topology.qos.lanes import Mode

NODES = ("d1", "p1")
NIC = "{{name: {0}, kind: {1}, rate: 100Mb/s}}"
NICS = ", ".join((NIC.format("s0", "storage"), NIC.format("c0", "compute")))
FABRIC = f"""version: 1
name: lab
hosts:
  - {{name: p1, role: prefill, nics: [{NICS}]}}
  - {{name: d1, role: decode, nics: [{NICS}]}}
"""
ROLLOUT = "rollout: {canary: {count: 1}, soak_seconds: 3, revert_in_seconds: 20, deadline_seconds: 40}\n"


def policy(preset: str, mode: str = "enforce", where: str = "", rollout: str = "") -> str:
    chosen = f", selectors: [{{nodes: [{where}]}}]" if where else ""
    return f"version: 1\n{rollout}policies:\n  - {{name: main, preset: {preset}, mode: {mode}{chosen}}}\n"


POLICIES = {
    "dualpath": policy("dualpath"),
    "strict": policy("two-lane-strict"),
    "three": policy("three-class"),
    "on p1 alone": policy("dualpath", where="p1"),
    "on d1 alone": policy("two-lane-strict", where="d1"),
    "observed": policy("three-class", mode="observe"),
    "rolled out": policy("three-class", rollout=ROLLOUT),
    "rolled out again": policy("dualpath", rollout=ROLLOUT),
    "none": "version: 1\npolicies: []\n",
    "broken": "version: 1\npolicies: [{name: main, preset: nonesuch}]\n",
}
BEHAVIOURS = {
    "does as told": Behaviour(),
    "refuses": Behaviour(refuse=("class/11",)),
    "refuses all": Behaviour(refuse=("class", "filter", "leaf", "qdisc")),
    "ignores": Behaviour(ignore=("leaf",)),
    "alters": Behaviour(alter=("class/1*",)),
    "writes halves": Behaviour(half=("class",)),
    "lies": Behaviour(lie=("qdisc",)),
    "forgets": Behaviour(drop=("leaf/10",)),
    "fails later": Behaviour(fail_after=5),
    "fails in an odd way": Behaviour(fail_after=3, error=Error.FAULT),
    "is gone": Behaviour(absent=True),
    "may only be read": Behaviour(read_only=True),
}
HIDES = ("lies", "forgets")
"""After these nobody can say what the device holds."""
TOTAL: Counter[str] = Counter()
wires = st.tuples(st.sampled_from(["lose", "double", "overtake"]), st.sampled_from(NODES), st.booleans())
node_names, port_names = st.sampled_from(NODES), st.sampled_from(PORTS)


def base() -> Path:
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


class ClusterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="tfd-sim", dir=base()))
        self.cluster = Cluster(self.directory, NODES, FABRIC)
        self.found: dict[tuple[str, str], State] = {}
        self.blurred: set[tuple[str, str]] = set()
        self.changed_by_others: set[tuple[str, str]] = set()
        self.checked = dict.fromkeys(NODES, 0)

    @initialize(
        held=st.lists(st.sampled_from([EMPTY, A, B]), min_size=4, max_size=4),
        name=st.sampled_from(list(POLICIES)),
    )
    def begin(self, held: list[State], name: str) -> None:
        for (node, port), state in zip(((n, p) for n in NODES for p in PORTS), held, strict=True):
            self.cluster.agents[node].driver.device.hold(port, state)
            self.found[node, port] = state
        self.edit(name)
        for node in NODES:
            self.started(node)
            self.connected(node)

    def teardown(self) -> None:
        try:
            if self.found:
                self.heals()
        finally:
            TOTAL["examples"] += 1
            TOTAL.update(self.cluster.fired)
            for agent in self.cluster.agents.values():
                TOTAL.update(agent.faults.fired)
                TOTAL.update(f"{t.purpose} {t.outcome.result}" for t in agent.turns if t.outcome.touched)
            shutil.rmtree(self.directory, ignore_errors=True)

    # The operator and the controller.

    @rule(name=st.sampled_from(list(POLICIES)))
    def edit(self, name: str) -> None:
        TOTAL["policy edited"] += 1
        self.cluster.offer_policy(POLICIES[name])

    @rule(on=st.sampled_from([True, False, False]))
    def pauses(self, on: bool) -> None:
        TOTAL["paused" if on else "resumed"] += 1
        self.cluster.apply(PauseSet(on, "maintenance", Origin("operator")))

    @rule()
    def retries(self) -> None:
        TOTAL["retried"] += 1
        self.cluster.apply(RetryAsked((), Origin("operator")))

    @rule(abort=st.booleans())
    def steers(self, abort: bool) -> None:
        if self.cluster.state.rollout is not None:
            TOTAL["rollout aborted" if abort else "rollout resumed"] += 1
            self.cluster.apply(RolloutSteered(abort, Origin("operator")))
            self.cluster.apply(Settle())

    @rule()
    def controller_restarts(self) -> None:
        TOTAL["controller killed"] += 1
        self.cluster.restart()

    @rule()
    def controller_will_die_before_it_sends(self) -> None:
        self.cluster.dies = True

    @rule(back=st.integers(0, 30))
    def controller_restarts_on_an_older_copy(self, back: int) -> None:
        if back > 3:  # rarely: nothing is programmed from then on
            self.controller_restarts()
            return
        TOTAL["state file put back from an older copy"] += 1
        self.cluster.restart(self.cluster.copies[max(0, len(self.cluster.copies) - 1 - back)])

    @rule(full=st.sampled_from([True, False, False]))
    def controller_disk(self, full: bool) -> None:
        self.cluster.full = full

    # The nodes.

    @rule(node=node_names)
    def killed(self, node: str) -> None:
        TOTAL["agent killed"] += 1
        self.cluster.kill(node)

    @rule(node=node_names)
    def started(self, node: str) -> None:
        if not self.cluster.agents[node].up:
            self.cluster.agents[node].start()

    @rule(node=node_names, writes=st.integers(0, 8))
    def killed_after_writes(self, node: str, writes: int) -> None:
        self.cluster.agents[node].faults.kill_writes = writes

    @rule(node=node_names, saves=st.integers(0, 5))
    def killed_at_a_save(self, node: str, saves: int) -> None:
        self.cluster.agents[node].faults.kill_saves = saves

    @rule(node=node_names, full=st.sampled_from([True, False, False]))
    def disk(self, node: str, full: bool) -> None:
        self.cluster.agents[node].faults.full = full

    @rule(node=node_names)
    def slows_down(self, node: str) -> None:
        TOTAL["work begun and not ended"] += 1
        self.cluster.agents[node].slow = True

    @rule(node=node_names)
    def catches_up(self, node: str) -> None:
        agent = self.cluster.agents[node]
        agent.slow = False
        agent.guarded(agent.finish)
        if not agent.up:
            self.cluster.hang_up(node)

    @rule(node=node_names, port=port_names, how=st.sampled_from(list(BEHAVIOURS)))
    def behaves(self, node: str, port: str, how: str) -> None:
        TOTAL[f"device {how}"] += 1
        self.cluster.agents[node].driver.behaviours[port] = BEHAVIOURS[how]
        if how in HIDES:
            self._disturbed(node, port)

    @rule(
        node=node_names,
        port=port_names,
        what=st.sampled_from(["leaf/10", "filter/dscp-8", "class/11", "qdisc"]),
    )
    def another_writer(self, node: str, port: str, what: str) -> None:
        TOTAL["another writer"] += 1
        agent = self.cluster.agents[node]
        agent.driver.device.put(port, what, None)
        self._disturbed(node, port)
        agent.guarded(lambda: agent.notice(port))

    def _disturbed(self, node: str, port: str) -> None:
        """From now on what the device holds is not of our doing alone, and an agent that starts puts it right."""
        self.cluster.agents[node].attempt += 1
        self.blurred.add((node, port))
        self.changed_by_others.add((node, port))

    # The wire and the clock.

    @rule(node=node_names)
    def connected(self, node: str) -> None:
        self.cluster.connect(node)

    @rule(node=node_names, cut=st.sampled_from([True, False, False]))
    def cut_off(self, node: str, cut: bool) -> None:
        if cut:
            TOTAL["node cut off"] += 1
            self.cluster.cut.add(node)
            self.cluster.hang_up(node)
        else:
            self.cluster.cut.discard(node)

    @rule(node=node_names, down=st.booleans(), what=st.sampled_from(["lose", "double", "overtake"]))
    def wire(self, node: str, down: bool, what: str) -> None:
        getattr(self.cluster, what)(node, down=down)

    @rule(node=node_names, down=st.booleans(), count=st.integers(1, 4))
    def arrives(self, node: str, down: bool, count: int) -> None:
        for _ in range(count):
            self.cluster.deliver(node, down=down)

    @rule()
    def all_arrives(self) -> None:
        self.cluster.flush()

    @rule(seconds=st.sampled_from([0.5, 3.0, 12.0, 45.0]), deliver=st.booleans())
    def time_passes(self, seconds: float, deliver: bool) -> None:
        self.cluster.advance(seconds, deliver=deliver)

    def _runs(self, seconds: float) -> None:
        """As most of the time: every process is up, everybody is connected, and what is sent arrives."""
        for node in NODES:
            self.started(node)
            self.connected(node)
        self.cluster.flush()
        self.cluster.advance(seconds, deliver=True)

    @rule(seconds=st.sampled_from([1.0, 6.0, 31.0]))
    def runs(self, seconds: float) -> None:
        self._runs(seconds)

    @rule(name=st.sampled_from(list(POLICIES)), seconds=st.sampled_from([1.0, 6.0, 31.0]))
    def edit_and_run(self, name: str, seconds: float) -> None:
        self.edit(name)
        self._runs(seconds)

    @rule(name=st.sampled_from(list(POLICIES)))
    def edit_while_connected(self, name: str) -> None:
        self._runs(1.0)
        self.edit(name)

    @rule(node=node_names, writes=st.integers(0, 8), name=st.sampled_from(list(POLICIES)))
    def killed_while_it_applies(self, node: str, writes: int, name: str) -> None:
        self._runs(1.0)
        self.killed_after_writes(node, writes)
        self.edit(name)
        self._runs(3.0)

    @rule(name=st.sampled_from(list(POLICIES)), what=st.lists(wires, min_size=1, max_size=6))
    def edit_on_a_bad_wire(self, name: str, what: list[tuple[str, str, bool]]) -> None:
        self._runs(1.0)
        self.edit(name)
        for how, node, down in what:
            getattr(self.cluster, how)(node, down=down)
            self.cluster.deliver(node, down=down)

    @rule(
        name=st.sampled_from(list(POLICIES)),
        node=node_names,
        port=port_names,
        how=st.sampled_from(list(BEHAVIOURS)),
        seconds=st.sampled_from([1.0, 12.0]),
    )
    def edit_on_an_odd_device(self, name: str, node: str, port: str, how: str, seconds: float) -> None:
        self._runs(1.0)
        self.behaves(node, port, how)
        self.edit(name)
        self._runs(seconds)

    @rule(node=node_names, name=st.sampled_from(["rolled out", "rolled out again"]))
    def cut_off_by_a_change(self, node: str, name: str) -> None:
        """The change arrives, and nothing after it."""
        self._runs(1.0)
        self.edit(name)
        self.cluster.flush()
        self.cut_off(node, cut=True)
        self.cluster.advance(31.0, deliver=True)

    # What must hold.

    @invariant()
    def never_between(self) -> None:
        TOTAL["steps"] += 1
        for node, agent in self.cluster.agents.items():
            for i, s in (agent.life.states if agent.life else {}).items():
                key = node, i.name
                quiet = s.running is None and s.stage not in (Stage.STUCK, Stage.CUT)
                owed = (record := agent.disk.scope(i).record()) is not None and record.open
                if quiet and not owed and key not in self.blurred:
                    held = render(agent.driver.device.holds(i.name))
                    allowed = {render(self.found[key]), *agent.ever[i.name]}
                    assert held in allowed, f"{key} is between two states: {held}\n{self.cluster.text()}"

    @invariant()
    def one_step_forward_and_one_restore(self) -> None:
        for node, agent in self.cluster.agents.items():
            fresh = agent.turns[self.checked[node] :]
            if not fresh:
                continue
            self.checked[node] = len(agent.turns)
            steps = Counter(_key(t) for t in agent.turns if _is_forward(t))
            restores = Counter(
                _key(t) for t in agent.turns if t.outcome.result is Result.RESTORED and not t.outcome.passing
            )
            for counts, what in ((steps, "steps forward"), (restores, "restores")):
                many = {k: n for k, n in counts.items() if n > 1}
                assert not many, f"{node}: several {what}: {many}\n{self.cluster.text()}"

    def heals(self) -> None:
        """Everything behaves again."""
        c = self.cluster
        c.cut.clear()
        c.full = c.dies = False
        newest = max(c.copies, key=lambda s: s.generation)
        ahead = newest.generation > c.store.generation
        c.restart(newest if ahead or c.state.gap is not None else None)
        for agent in c.agents.values():
            agent.faults.full, agent.faults.kill_writes, agent.faults.kill_saves = False, None, None
            agent.driver.behaviours.clear()
            agent.slow = False
            agent.finish()
            if not agent.up:
                agent.start()
        c.apply(PauseSet(False, "", Origin("operator")))
        self._settles()
        self._each_is_desired_or_before()
        c.apply(RetryAsked((), Origin("operator")))
        self._settles()
        self._each_is_as_wanted()

    def _settles(self) -> None:
        c = self.cluster
        for _ in range(8):
            for node in NODES:
                c.connect(node)
            c.flush()
            if c.state.rollout is not None and c.state.rollout.phase is Phase.HALTED:
                c.apply(RolloutSteered(False, Origin("operator")))
                c.apply(Settle())
            c.advance(32, deliver=True, every=4.0)
        assert c.state.gap is None, f"still behind: {c.text()}"

    def _each_is_desired_or_before(self) -> None:
        self.never_between()
        self.one_step_forward_and_one_restore()

    def _each_is_as_wanted(self) -> None:
        c = self.cluster
        plan = c.state.plan
        wanted = {(s.node, s.name): s for s in plan.scopes} if plan is not None and c.state.policies else {}
        for key, found in self.found.items():
            node, port = key
            agent = c.agents[node]
            held = render(agent.driver.device.holds(port))
            scope = wanted.get(key)
            if scope is not None and scope.mode is Mode.ENFORCE:
                assert held == render(scope.elements), f"{key} is not as desired\n{c.text()}"
            elif scope is None and c.state.policies and key not in self.changed_by_others:
                assert held == render(found), f"{key} is not as found: {held}\n{c.text()}"
                assert ScopeId(ScopeKind.PORT, port) not in agent.disk.touched(), c.text()


def _key(t: Turn) -> tuple[object, ...]:
    return t.port, t.generation, t.attempt


def _is_forward(t: Turn) -> bool:
    """It wrote towards a desired state that was not verified yet, and nothing excuses doing so again."""
    o = t.outcome
    return t.purpose is Purpose.APPLY and o.touched and not o.passing and o.result is not Result.STOPPED


def _print(seconds: float) -> None:
    size = f"{TOTAL['examples']} examples, {TOTAL['steps']} steps in {seconds:.0f} s"
    rest = ", ".join(f"{what} {n}" for what, n in sorted(TOTAL.items()) if what not in ("examples", "steps"))
    print(f"\ncluster in any order: {size}; {rest}")


SLICE = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Search.generate,),
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_any_order_of_events_ends_in_desired_or_before(capsys: object) -> None:
    minutes, began = float(os.environ.get("SOAK_MINUTES", "0")), time.monotonic()
    run_state_machine_as_test(ClusterMachine, settings=SLICE)
    while time.monotonic() - began < 60 * minutes:
        run_state_machine_as_test(
            ClusterMachine, settings=settings(SLICE, derandomize=False, max_examples=100)
        )
    with capsys.disabled():  # type: ignore[attr-defined]
        _print(time.monotonic() - began)
    assert TOTAL["examples"] >= 1
