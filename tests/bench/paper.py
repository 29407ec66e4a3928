"""Makes docs/paper.md: what DualPath (arXiv 2602.21548) reports beside what the simulator finds.

Each measurement is kept in ``.paper.json`` when it is done; ``--again WORD`` makes those anew whose name has the word.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from choice import PART, Ground, eighth, sustained

from trafficd.cli.simulate import shipped
from trafficd.sim.compare import compare
from trafficd.sim.parse import parse_scenario
from trafficd.sim.plan import Cases, Shape, Work, fabric_of
from trafficd.sim.run import Simulation
from trafficd.sim.scenario import Caller, Compute, Contender
from trafficd_topology.capacity import analyse
from trafficd_topology.ratios import ranges_text

ROOT = Path(__file__).parents[2]
STATE, PAGE = ROOT / ".paper.json", ROOT / "docs" / "paper.md"
SCENARIOS = ROOT / "trafficd" / "sim" / "scenarios"
BASIC = Contender("Basic", "prefill-only", Caller.PREFILL)
BOTH = Contender("both sides in turn", "round-robin")
PAPER = Contender("the paper's rule", "dualpath")
OURS = Contender("balanced", "balanced")
SPLITS = Contender("balanced, splits", "balanced", Caller.SPLIT)
Found = dict[str, float | None]


def scenario(name: str) -> Cases:
    cases, problems = parse_scenario(
        (SCENARIOS / f"{name}.yaml").read_bytes(), lambda p: Path(p).read_bytes()
    )
    assert cases is not None, problems
    return cases


def outcome(cases: Cases, contender: Contender) -> Found:
    found = Simulation(cases.world(1), contender).run()
    return {
        "completion": found.completion_s,
        "ttft": found.ttft_mean_s,
        "p99": found.ttft_p99_s,
        "tpot": found.tpot_mean_s,
        "turns_per_s": found.turns_per_s,
        "storage": found.storage_use,
        "delivered": found.model_delivered,
    }


def offline(contender: Contender, *, layerwise: bool = True) -> Found:
    """Whole trajectories of 250 agents at an eighth of 2P4D."""
    cases = replace(
        scenario("2p4d-offline"), fabric=fabric_of(eighth()), work=Work("64K", agents=2000 // PART)
    )
    return outcome(replace(cases, compute=Compute(layerwise=layerwise)), contender)


def online(contender: Contender) -> Found:
    """0.05 agents a second at an eighth of 2P4D, for half an hour, which begins empty."""
    cases = replace(scenario("2p4d-online"), fabric=fabric_of(eighth()), seconds=1800.0)
    return outcome(replace(cases, work=Work("64K", agents_per_s=0.4 / PART, seconds=1800.0)), contender)


def capacity(contender: Contender, *, layerwise: bool = True) -> Found:
    """Turns a second within the service level, as agents a second of all of 2P4D."""
    cases = replace(scenario("2p4d"), fabric=fabric_of(eighth()), compute=Compute(layerwise=layerwise))
    rate, p99 = sustained(Ground("eighth", lambda _: cases), contender, 1)
    return {"agents_per_s": rate, "p99": p99}


def windows(name: str) -> Found:
    """A shipped window: completion of prefill-only over that of others, and balance."""
    cases = scenario(name)
    work = replace(cases.work, turns=min(cases.work.turns or 1, 1000))
    found = compare(replace(cases, work=work), (1, 2, 3))
    rows = {r.contender.name: r for r in found.rows}
    made: Found = {}
    for other, row in rows.items():
        made[f"{other} completion"] = row.mean("completion_s")
        made[f"{other} balance"] = row.mean("storage_balance")
        made[f"{other} p50"] = row.mean("ttft_p50_s")
        made[f"{other} delivered"] = row.mean("model_delivered")
    return made


def jobs() -> Iterator[tuple[str, Callable[[], Found]]]:
    yield "offline Basic", partial(offline, BASIC, layerwise=False)
    yield "offline layerwise", partial(offline, BASIC)
    yield "offline both", partial(offline, BOTH)
    yield "offline paper", partial(offline, PAPER)
    yield "offline balanced", partial(offline, OURS)
    yield "offline splits", partial(offline, SPLITS)
    for name, contender in (("Basic", BASIC), ("paper", PAPER), ("balanced", OURS)):
        yield f"capacity {name}", partial(capacity, contender, layerwise=contender is not BASIC)
        yield f"online {name}", partial(online, contender)
    for name in ("2p4d", "1p1d", "1p2d", "2p1d", *(n for n in shipped() if n.startswith("lanes-"))):
        yield f"window {name}", partial(windows, name)


def stored() -> dict[str, Found]:
    return json.loads(STATE.read_text()) if STATE.exists() else {}


def measure(again: str | None, only: str) -> None:
    for name, job in jobs():
        if only in name and (name not in stored() or (again is not None and again in name)):
            sys.stderr.write(f"{name}\n")
            found = job()
            STATE.write_text(json.dumps({**stored(), name: found}, indent=1) + "\n")


HEAD = """\
# Beside the paper

DualPath (arXiv 2602.21548) is where the idea comes from: read KV through either side, under the model's collectives. Its
network half was never published, so this page sets what the paper reports beside what the [simulator](simulator.md) finds
with the same clusters, traces and rules. Made by `make paper`.
"""
TAIL = """\
## What the simulator cannot claim

- **Absolute times.** Prefill and decode are two calibrated rates each; the paper's engines pack batches by a quota of 300 ms
  and pull work in groups. Ratios between strategies are what the model is for, and they shift with compute: the faster it
  is, the more storage matters.
- **The paper's traces.** Trajectories have the means of its table 2 and our distributions.
- **Its baselines.** "Basic" is its own framework without dual path; here it is the same simulator that reads on the prefill
  side and moves KV before it computes. SGL(MC) is not simulated.
- **Size.** Offline, online and capacity rows are an eighth of 2P4D: an eighth of the GPUs with storage NICs of an eighth of
  the rate, so that each GPU has what it has there. A single read then takes eight times as long, which lengthens TTFT.
- **Agents a second** are turns a second over 157, of turns met in the middle of trajectories: first turns, whose whole prompt
  is computed, are left out there and count in the offline rows.
- **Max/Avg** is over 1 s windows at half load with telemetry of 1 s. The paper's rule sees queues that are up to a second
  old here; its own engines report when they fetch work.
- **Packets.** Flows are fluids; see the end of [simulator.md](simulator.md).
"""


def number(found: dict[str, Found], job: str, what: str, form: str = "{:.2f}") -> str:
    value = found.get(job, {}).get(what)
    return "-" if value is None else form.format(value)


def ratio(found: dict[str, Found], a: str, b: str, what: str, form: str = "{:.2f}x") -> str:
    one, other = found.get(a, {}).get(what), found.get(b, {}).get(what)
    return "-" if one is None or not other else form.format(one / other)


def reduction(found: dict[str, Found], job: str) -> str:
    one, base = found.get(job, {}).get("completion"), found.get("offline Basic", {}).get("completion")
    return "-" if one is None or not base else f"{(1 - one / base) * 100:.1f} %"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def bounds_text() -> str:
    made, _ = analyse(fabric_of(Shape(servers=2)))
    assert made is not None
    return ranges_text(made.ranges())


def page() -> str:
    f = stored()
    compared = [
        ("P/D without a bottleneck, g = 8, s = 1, 500 GB/s (4.2)", "1/7..7/2", bounds_text()),
        (
            "Offline, dual path with scheduling over Basic (7.3)",
            "1.87x",
            ratio(f, "offline Basic", "offline paper", "completion"),
        ),
        ("JCT less than Basic: layer-wise prefill (7.5)", "17.2 %", reduction(f, "offline layerwise")),
        ("and both sides in turn (the paper: dual path)", "38.2 %", reduction(f, "offline both")),
        ("and the paper's scheduling", "45.6 %", reduction(f, "offline paper")),
        ("and our choice instead", "-", reduction(f, "offline balanced")),
        ("and our choice with splits", "-", reduction(f, "offline splits")),
        (
            "Online capacity over Basic (7.4)",
            "2.25x",
            ratio(f, "capacity paper", "capacity Basic", "agents_per_s"),
        ),
        ("Agents/s within SLO, 2P4D: Basic", "-", number(f, "capacity Basic", "agents_per_s")),
        (
            "Agents/s within SLO, 2P4D: the paper's rule",
            "0.45 at least",
            number(f, "capacity paper", "agents_per_s"),
        ),
        ("Agents/s within SLO, 2P4D: balanced", "-", number(f, "capacity balanced", "agents_per_s")),
        ("TTFT mean at 0.4 agents/s, 2P4D, s (table 3)", "1.74", number(f, "online paper", "ttft")),
        ("TPOT mean there, ms", "39", _ms(f.get("online paper", {}).get("tpot"))),
        (
            "Storage NIC Max/Avg: round robin (fig. 13, three machines)",
            "1.53",
            number(f, "window 2p4d", "round-robin balance"),
        ),
        ("Max/Avg: the paper's scheduling", "1.18", number(f, "window 2p4d", "dualpath balance")),
        ("Max/Avg: balanced", "-", number(f, "window 2p4d", "balanced balance")),
    ]
    compared += [
        (f"{name}: prefill only over the paper's rule", said, _sweep(f, name))
        for name, said in (
            ("1P1D", "1.64x on average"),
            ("2P1D", "2.46x at most"),
            ("1P2D", "(over the three)"),
        )
    ]
    parts = [HEAD, table(("Figure", "Paper", "Simulator"), compared), _lanes(f), TAIL]
    return "\n".join(parts)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.0f}"


def _sweep(f: dict[str, Found], name: str) -> str:
    found = f.get(f"window {name.lower()}", {})
    one, other = found.get("prefill-only completion"), found.get("dualpath completion")
    return "-" if one is None or not other else f"{one / other:.2f}x"


def _lanes(f: dict[str, Found]) -> str:
    rows = []
    for name in ("lanes-off", "lanes-kv-0.04", "lanes-kv-0.1", "lanes-kv-1", "lanes-kv-10"):
        found = f"window {name}"
        cells = [
            number(f, found, f"dualpath {w}", form)
            for w, form in (("completion", "{:.1f}"), ("p50", "{:.3f}"), ("delivered", "{:.4f}"))
        ]
        cells += [
            number(f, found, f"balanced {w}", form)
            for w, form in (("completion", "{:.1f}"), ("p50", "{:.3f}"))
        ]
        rows.append((name, *cells))
    text = table(
        ("Scenario", "completion s", "TTFT p50 s", "collectives got", "balanced: completion s", "TTFT p50 s"),
        rows,
    )
    return (
        "## Lanes, and how much KV is left\n\nThe paper evaluates neither lanes on against off nor the weight of the KV lane. Here "
        "collectives use nine\ntenths of the compute NICs of 2P4D, give or take a tenth, and a window of 1,000 turns reads KV.\n\n"
        + text
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    measure(args.again, args.only)
    PAGE.write_text(page())
    sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
