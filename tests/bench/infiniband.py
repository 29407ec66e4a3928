"""A whole subnet: finding it, changing and verifying its lanes, and reading its counters, on ibsim and a real OpenSM.

Everything (the simulator, OpenSM, the driver) shares this machine's processors. Times in seconds, one run each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from lab.ibbench import FOUR_VLS, helper_env, paper
from lab.ibsim import FatTree, IbLab, ib_lab

from trafficd_agent.apply import Order, Outcome, Purpose, Result, reconcile
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.diff import Element, State, state
from trafficd_topology.qos.ib import IbOption, IbTable

TREES = (FatTree(18, 36, 18), FatTree(36, 54, 24))
ADAPTERS = (1, 0, 2, 3, *[0] * 12)
EVERYWHERE = (0, 1, 2, 3, *[1] * 12)


class _Journal:
    def begin(self, before: State, target: State) -> None: ...

    def settle(self, holds: State) -> None: ...


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _megabytes(pid: int) -> float:
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _changed(**new: tuple[int, ...]) -> State:
    """The preset's lanes with other tables: ``sl2vl`` of all ports, ``ca`` of adapters, ``low`` arbitration."""
    found = {e.name: e for e in paper()}
    if "low" in new:
        found["option/qos_vlarb_low"] = Element(
            "option", "qos_vlarb_low", IbOption("0:192,1:192,2:128,3:192")
        )
        found["vlarb_low/*"] = Element("vlarb_low", "*", IbTable(new["low"]))
    for key, option in (("ca", "qos_ca_sl2vl"), ("*", "qos_sl2vl")):
        if key in new:
            found[f"option/{option}"] = Element("option", option, IbOption(",".join(map(str, new[key]))))
            found[f"sl2vl/{key}"] = Element("sl2vl", key, IbTable(new[key]))
    return state(found.values())


def _apply(driver: OpensmDriver, wanted: State) -> float:
    """Seconds from the order to Verified."""
    order = Order("ib", wanted, Purpose.APPLY)
    seconds, outcome = _timed(lambda: reconcile(driver, order, _Journal()))
    if not isinstance(outcome, Outcome) or outcome.result is not Result.APPLIED:
        raise RuntimeError(f"not applied: {outcome}")
    return seconds


def _figures(lab: IbLab, driver: OpensmDriver) -> Iterator[str]:
    theirs, _ = _timed(lambda: lab.run("Hca3", "ibnetdiscover"))
    ours, found = _timed(lambda: list(driver.fabrics()))
    yield f"found: {ours:.2f} (ibnetdiscover alone {theirs:.2f})"
    whole, _ = _timed(lambda: driver.read("ib"))
    sample, _ = _timed(lambda: driver.read("ib"))
    yield f"read: every pair of switch ports {whole:.2f}, a sample of them {sample:.2f}"
    _apply(driver, paper())
    driver.read("ib")
    quick = _apply(driver, _changed(low=(0, 192, 1, 192, 2, 128, 3, 192), ca=ADAPTERS))
    yield f"VLArb and adapters' SL2VL, verified on all ports and a sample of pairs: {quick:.2f}"
    every = _apply(driver, _changed(**{"*": EVERYWHERE}))
    yield f"SL2VL of switches, verified on every pair: {every:.2f}"
    (reader,) = driver.readers()
    first, columns = _timed(reader.columns)
    each, _ = _timed(reader.read)
    yield f"counters of switch ports: {each:.2f} a sample of {len(tuple(columns))} columns ({first:.2f} before the first)"  # type: ignore[arg-type]
    helpers = sum(_megabytes(int(pid)) for pid in _children())
    yield f"memory: {_megabytes(os.getpid()):.0f} MB with this bench, {helpers:.0f} MB of both helpers"
    reader.close()  # type: ignore[attr-defined]
    assert found


def _children() -> list[str]:
    """Our helper processes."""
    pids = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in pids if b"smp_helper" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def subnets() -> Iterator[str]:
    """Each size on a fabric of its own."""
    for tree in TREES:
        with ib_lab(FOUR_VLS, tree) as lab:
            options = OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2"))
            with closing(OpensmDriver(replace(options, sweep_seconds=60.0))) as driver:
                yield f"{tree.hcas} adapters, {tree.leaves + tree.spines} switches, {tree.ports} ports with a link"
                yield from (f"  {line}" for line in _figures(lab, driver))
