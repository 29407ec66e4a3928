"""A small fabric for tests of path choice: two prefill, two decode and one storage node, networks apart.

Every NIC is 80 Gb/s, which is 10 GB/s; p and d nodes have one storage NIC (s0) and two compute NICs (c0, c1: rails 0
and 1, paired with GPUs 0 and 1).
"""

from dataclasses import replace

from trafficd.choice.engine import PathEngine
from trafficd.choice.request import Abilities, EngineRef, EngineReport, Request, Source
from trafficd.choice.snapshot import (
    Attachment,
    Layout,
    LinkLayer,
    Marking,
    Nic,
    NicKind,
    NicState,
    Node,
    Path,
    Role,
    Snapshot,
)

RATE = 80_000_000_000
GB = 1_000_000_000
BUILT = 1_700_000_000 * GB
BOTH = Abilities(read_on_decode_side=True)
HOSTS = {"p1": Role.PREFILL, "p2": Role.PREFILL, "d1": Role.DECODE, "d2": Role.DECODE}
NAMES = [f"{h}/{n}" for h in HOSTS for n in ("s0", "c0", "c1")] + ["st1/s0"]


def layout() -> Layout:
    """One switch for storage, one leaf per rail and a spine between the rails."""
    nodes = (*(Node(h, r) for h, r in HOSTS.items()), Node("st1", Role.STORAGE, "kv"))
    nics: list[Nic] = []
    for i in range(4):
        nics.append(Nic(i, "s0", NicKind.STORAGE, kv_lane_id=2))
        nics += [Nic(i, f"c{r}", NicKind.COMPUTE, gpu=r, rail=r, kv_lane_id=2) for r in (0, 1)]
    nics.append(Nic(4, "s0", NicKind.STORAGE, kv_lane_id=2))
    switches = {
        "storage": tuple(i for i, n in enumerate(nics) if n.kind is NicKind.STORAGE),
        "rail0": tuple(i for i, n in enumerate(nics) if n.rail == 0),
        "rail1": tuple(i for i, n in enumerate(nics) if n.rail == 1),
    }
    spine = [Path(1, 2, 2, 1, RATE, "link:rail0/9-spine/1")]
    return Layout(nodes, tuple(nics), tuple(Attachment(s, i) for s, i in switches.items()), tuple(spine))


LAYOUT = layout()
IDLE = NicState(RATE, RATE, measured_unix_ns=BUILT)
MARKINGS = (Marking("kv", LinkLayer.ETHERNET, 2, dscps=(10,), tos=40, intents=("kv-read", "kv-write")),)


def snapshot(version: str = "1", /, **changes: dict[str, int | bool | None]) -> Snapshot:
    """Everything idle and fresh but for ``changes``: NIC name with ``_`` for ``/`` -> fields of its state."""
    named = {name.replace("_", "/"): change for name, change in changes.items()}
    states = tuple(IDLE._replace(**named.get(name, {})) for name in NAMES)
    return Snapshot(version, BUILT, 3000, LAYOUT, states, (), MARKINGS)


def older(taken: Snapshot, seconds: float) -> Snapshot:
    """The same, built so much later with the same measurements."""
    return replace(taken, built_unix_ns=taken.built_unix_ns + int(seconds * GB))


def engine(taken: Snapshot | None = None, *, silent: bool = False) -> PathEngine:
    """A path engine at time 0 with that snapshot; unless silent, every node reported an empty read queue."""
    made = PathEngine("t")
    made.swap(snapshot() if taken is None else taken, 0.0)
    if not silent:
        made.report(
            [EngineReport(EngineRef(h, r), gpu=r, read_queue_bytes=0) for h in HOSTS for r in (0, 1)], 0.0
        )
    return made


def read(request_id: str = "r", /, **changes: object) -> Request:
    """10 GB (one second on an idle NIC) from pool kv for p1/0 and d1/0, able to read on both sides."""
    asked = Request(
        id=request_id,
        bytes=10 * GB,
        prefill=(EngineRef("p1", 0),),
        decode=(EngineRef("d1", 0),),
        source=Source(pool="kv"),
        abilities=BOTH,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]
