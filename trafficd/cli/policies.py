"""How a policy is shown: its lanes, and what each gets in every contention case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trafficd.api.v1 import policy_pb2, qos_pb2
from trafficd.cli.output import percent, table, word

SCHEDULERS = (("htb", "Ethernet, by tc"), ("ets", "RoCE, by ETS"), ("vlarb", "InfiniBand, by VL arbitration"))


def policy_text(policy: policy_pb2.CompiledPolicy) -> str:
    """Everything of one policy, as tables."""
    owner = f", owned by {'the API' if policy.owner == 'api' else 'a file'}" if policy.owner else ""
    head = f"policy {policy.name}: {word(qos_pb2.Mode.Name(policy.mode))}{owner}, {len(policy.ports)} ports selected"
    return "\n\n".join(
        [head, _lanes(policy), *_roce(policy), *_cases(policy), *_waits(policy), _markings(policy)]
    )


def _lanes(policy: policy_pb2.CompiledPolicy) -> str:
    rows = [
        (
            lane.id,
            lane.name,
            "strict" if lane.strict else lane.priority,
            percent(lane.guaranteed_ratio),
            percent(lane.limit_ratio),
        )
        for lane in policy.lanes
    ]
    return table(("LANE", "NAME", "PRIORITY", "GUARANTEED", "LIMIT"), rows)


def _roce(policy: policy_pb2.CompiledPolicy) -> Iterator[str]:
    """How the lanes stand on a RoCE port; whole percents are all that ETS knows."""
    if not policy.roce:
        return
    rows = [
        (
            x.lane,
            x.priority,
            x.traffic_class,
            "strict" if x.strict else f"{x.percent}%",
            "lossless" if x.lossless else "lossy",
            "on" if x.ecn else "off",
            " ".join(map(str, x.dscps)) or "all others",
        )
        for x in policy.roce
    ]
    yield f"on RoCE (what switches must do: {policy.switch_digest})\n" + table(
        ("LANE", "PRIORITY", "TC", "SHARE", "PFC", "ECN", "DSCP"), rows
    )


def _cases(policy: policy_pb2.CompiledPolicy) -> Iterator[str]:
    for scheduler, name in SCHEDULERS:
        cases = [c for c in policy.cases if c.scheduler == scheduler]
        if cases:
            yield f"shares on {name}, by which lanes have more to send than they may\n" + _shares(
                policy, cases
            )


def _shares(policy: policy_pb2.CompiledPolicy, cases: Iterable[qos_pb2.ContentionCase]) -> str:
    names = [lane.name for lane in policy.lanes]
    rows = []
    for case in cases:
        got = {s.lane: percent(s.ratio) for s in case.shares}
        rows.append(("+".join(case.backlogged), *(got.get(n, "") for n in names)))
    return table(("BACKLOGGED", *names), rows)


def _waits(policy: policy_pb2.CompiledPolicy) -> Iterator[str]:
    """How long the first packet of a lane may wait, beside how long it lives."""
    for found in policy.subnets:
        rows = [
            (
                w.lane,
                f"{w.bytes / 2**20:.3g} MiB" if w.HasField("bytes") else "without end",
                _time(w.seconds) if w.HasField("seconds") else "without end",
            )
            for w in found.waits
        ]
        where = f"subnet {found.subnet}" if found.subnet else "InfiniBand"
        life = _time(found.queue_lifetime_seconds) if found.HasField("queue_lifetime_seconds") else "none"
        yield (
            f"longest wait at a port of {where} while all other lanes are busy ({found.rate_bps / 1e9:g} Gb/s, packets of "
            f"{found.packet_bytes} bytes; RC retry time-out {_time(found.rc_timeout_seconds)}, head-of-queue lifetime {life})\n"
            + table(("LANE", "BYTES BEFORE IT", "TIME"), rows)
        )


def _time(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"


def _markings(policy: policy_pb2.CompiledPolicy) -> str:
    rows = [
        (
            m.traffic_class,
            m.lane_id,
            word(qos_pb2.LinkLayer.Name(m.link_layer)),
            " ".join(map(str, m.service_levels)),
            " ".join(map(str, m.dscps)),
            m.tos if m.HasField("tos") else "",
            f"{m.so_priority:#x}" if m.HasField("so_priority") else "",
            " ".join(m.intents),
        )
        for m in policy.markings
    ]
    return table(("CLASS", "LANE", "LINK", "SL", "DSCP", "TOS", "SO_PRIORITY", "INTENTS"), rows)


def problems_text(problems: Iterable[qos_pb2.Problem], where: str = "") -> str:
    """One line a problem: where, what was found, what to do."""
    lines = []
    for p in problems:
        place = f"{p.path}: " if p.path else ""
        found = f" (found {p.value})" if p.value else ""
        lines.append(f"{where}{place}{p.reason}{found}")
    return "\n".join(lines)
