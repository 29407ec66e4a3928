"""Whole states of a RoCE port: two to go between, and any number drawn at random."""

from __future__ import annotations

from random import Random

from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.dcb import (
    PRIORITIES,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
)

BUFFER_BYTES = 512 * 1024
GIGABIT = 1_000_000_000


def port(
    dscps: dict[int, int], ets: DcbEts, lossless: tuple[int, ...], cable_m: int, ceiling_bps: int
) -> State:
    """What a port holds on which DSCP is trusted; ``dscps`` are their priorities."""
    sizes = (BUFFER_BYTES // 4, *(BUFFER_BYTES // 8 if n < len(lossless) else 0 for n in range(7)))
    buffers = tuple(lossless.index(p) + 1 if p in lossless else 0 for p in range(PRIORITIES))
    return state(
        [
            Element("dcbx", "", Dcbx()),
            Element("trust", "", DcbTrust(("dscp" if dscps else "pcp",))),
            *(Element("dscp", str(d), DcbApp((p,))) for d, p in dscps.items()),
            Element("ets", "", ets),
            Element("pfc", "", DcbPfc(lossless)),
            Element("cable", "", DcbCable(cable_m)),
            Element("maxrate", "", DcbMaxrate((0,) * 5 + (ceiling_bps,) + (0,) * 2)),
            Element("buffer", "", DcbBuffer(buffers, sizes)),
            *(Element("ecn", str(p), DcbEcn(p in lossless, p in lossless)) for p in range(PRIORITIES)),
            Element("cnp", "", DcbCnp(48, lossless[0] if lossless else 6)),
        ]
    )


FIRST = port(
    {0: 0, 26: 3, 10: 4, 48: 6},
    DcbEts((0, 0, 0, 3, 4, 0, 6, 0), ("ets",) * 6 + ("strict",) * 2, (10, 0, 0, 89, 1, 0, 0, 0)),
    (3, 4),
    5,
    10 * GIGABIT,
)
SECOND = port(
    {0: 0, 26: 5, 46: 6},
    DcbEts((0, 1, 2, 3, 4, 5, 6, 7), ("ets",) * 7 + ("strict",), (40, 0, 0, 0, 0, 60, 0, 0)),
    (5,),
    100,
    25 * GIGABIT,
)


def draw(random: Random) -> State:
    """Any state that a device may hold: shares sum to 100, buffers fit."""
    tsa = tuple(random.choice(("ets", "ets", "strict")) for _ in range(PRIORITIES))
    shared = [i for i, t in enumerate(tsa) if t == "ets"]
    cuts = sorted(random.randint(0, 100) for _ in shared[1:])
    parts = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
    percent = [0] * PRIORITIES
    for i, part in zip(shared, parts, strict=True) if shared else ():
        percent[i] = part
    queues = tuple(random.randrange(PRIORITIES) for _ in range(PRIORITIES))
    lossless = tuple(sorted(random.sample(range(PRIORITIES), random.choice((0, 1, 2, 2, 3)))))
    dscps = {d: random.randrange(PRIORITIES) for d in random.sample(range(64), random.randrange(6))}
    ets = DcbEts(queues, tsa, tuple(percent))
    return port(dscps, ets, lossless, random.randint(1, 999), random.randint(0, 400) * GIGABIT)
