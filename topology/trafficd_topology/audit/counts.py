"""Rules about counters: what they have reached, and where they were watched, whether they still rise.

A total says that something happened since the driver was loaded; a counter that rises says that it happens now. The
thresholds are beside each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trafficd_topology.audit.facts import Count, Facts, NodeFacts
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.counters import Direction, Quantity

Q = Quantity
PAUSED_RATIO = 0.05
"""A priority that may not send for a twentieth of the time is congested; see docs/audit.md."""
PCI_STALLED_PERCENT = 10
DISCARD_RATIO = 1e-4
"""Of packets, since the counters began."""
MANY_DISCARDS = 1000
"""Where packets are not counted."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Counters that should stand still. ``many``: a total from here on is a warning, below it is worth knowing.

    ``few``: totals up to here are normal (a link goes down when its host boots).
    """

    rule: str
    quantities: tuple[str, ...]
    rising: Severity
    remedy: str
    many: int = 1
    few: int = 0


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "pause-storm",
        (Q.PAUSE_STORM_ERRORS, Q.PAUSE_STORM_WARNINGS),
        Severity.ERROR,
        "Find the receiver that stopped taking packets (a hung host, a slow PCIe link) and turn on the PFC watchdog.",
    ),
    Trouble(
        "receiver-drops",
        (Q.BUFFER_DROPS, Q.CONGESTION_DROPS),
        Severity.WARNING,
        "The host takes packets too slowly: look at PCIe, NUMA placement and the receive buffers of this priority.",
    ),
    Trouble(
        "symbol-errors",
        (Q.SYMBOL_ERRORS, Q.LINK_INTEGRITY_ERRORS, Q.PHYSICAL_ERRORS),
        Severity.WARNING,
        "Clean or replace the cable or transceiver, then clear the counters and look again.",
        many=100,
    ),
    Trouble(
        "receive-errors",
        (Q.ERRORS, Q.REMOTE_PHYSICAL_ERRORS, Q.BUFFER_OVERRUN_ERRORS, Q.CONSTRAINT_ERRORS, Q.CHECKSUM_ERRORS),
        Severity.WARNING,
        "Follow the path back from this port: the error was made on this link or on one before it.",
        many=100,
    ),
    Trouble(
        "link-flaps",
        (Q.LINK_DOWNS, Q.LINK_RECOVERIES),
        Severity.ERROR,
        "Replace the cable or transceiver, and look for a setting that flaps the link (a change of PFC does on mlx5).",
        many=20,
        few=2,
    ),
    Trouble(
        "cnp-ignored",
        (Q.CNP_IGNORED_PACKETS,),
        Severity.WARNING,
        "Turn on the reaction point of this priority (ecn/roce_rp/enable), or congestion ends in PFC pauses or loss.",
    ),
    Trouble(
        "rdma-loss",
        (
            Q.OUT_OF_SEQUENCE,
            Q.PACKET_SEQUENCE_ERRORS,
            Q.IMPLIED_NAK_SEQUENCE_ERRORS,
            Q.ACK_TIMEOUTS,
            Q.RETRANSMISSIONS,
            Q.ADAPTIVE_RETRANSMISSIONS,
            Q.TRANSPORT_RETRIES_EXCEEDED,
        ),
        Severity.WARNING,
        "Packets are lost on the way: look for discards on the switches, and for a priority that is lossless at one end only.",
        many=1000,
    ),
    Trouble(
        "receiver-not-ready",
        (Q.OUT_OF_BUFFER, Q.RNR_NAK_RETRIES, Q.RNR_RETRIES_EXCEEDED),
        Severity.WARNING,
        "The application posts too few receive requests: raise its queue depth.",
        many=1000,
    ),
)


ROW_OF = {quantity: trouble for trouble in TROUBLES for quantity in trouble.quantities}


def troubles(facts: Facts) -> Iterator[Finding]:
    """One finding a row and port, with every counter of it that counted."""
    for node in facts.nodes:
        found: dict[tuple[str, str], list[Count]] = {}
        for c in node.counts:
            row = ROW_OF.get(c.column.quantity) if c.total and c.column.lane_id is None else None
            if row is not None:
                found.setdefault((row.rule, c.column.port), []).append(c)
        for (_, port), counts in found.items():
            yield from _trouble(node, port, ROW_OF[counts[0].column.quantity], counts)


def _trouble(node: NodeFacts, port: str, trouble: Trouble, counts: list[Count]) -> Iterator[Finding]:
    total = sum(c.total or 0 for c in counts)
    rising = any(c.risen for c in counts)
    if not rising and total <= trouble.few:
        return
    severity = trouble.rising if rising else Severity.WARNING if total >= trouble.many else Severity.INFO
    evidence = ", ".join(counted(c, node.seconds) for c in counts)
    yield Finding(trouble.rule, severity, node.at(port), evidence, trouble.remedy)


def named(c: Count) -> str:
    """``receive drops of priority 3``."""
    way = f"{c.column.direction} " if c.column.direction else ""
    of = "" if c.column.priority is None else f" of priority {c.column.priority}"
    return f"{way}{c.column.quantity.replace('_', ' ')}{of}"


def counted(c: Count, seconds: float) -> str:
    now = f" (+{c.risen} in {seconds:.3g} s)" if c.risen else ""
    return f"{c.total} {named(c)}{now}"


Place = tuple[str, Direction | None, int | None]
"""Port, direction, priority."""


def discards(facts: Facts) -> Iterator[Finding]:
    """Lanes' own drops are left out: a full lane drops by design."""
    for node in facts.nodes:
        packets = _wholes(node, Q.PACKETS)
        for place, c in _wholes(node, Q.DROPS).items():
            if c.total:
                yield _discards(node, c, packets.get(place))


def _wholes(node: NodeFacts, quantity: str) -> dict[Place, Count]:
    """Counters of this quantity that are not of a lane."""
    found = (c for c in node.counts if c.column.quantity == quantity and c.column.lane_id is None)
    return {(c.column.port, c.column.direction, c.column.priority): c for c in found}


def _discards(node: NodeFacts, drops: Count, packets: Count | None) -> Finding:
    of = packets.total if packets is not None else None
    many = (drops.total or 0) >= (MANY_DISCARDS if of is None else of * DISCARD_RATIO)
    return Finding(
        "discards",
        Severity.WARNING if drops.risen or many else Severity.INFO,
        node.at(drops.column.port),
        counted(drops, node.seconds) + ("" if of is None else f" of {of} packets"),
        "Find what fills this queue: incast at the receiver, a lossless class without PFC, or a lane whose share is too small.",
    )


def headroom(facts: Facts) -> Iterator[Finding]:
    """Packets of a lossless priority were dropped on arrival. Pauses of a priority are counted only where PFC is on."""
    for node in facts.nodes:
        paused = {
            (c.column.port, c.column.priority) for c in node.counts if c.column.quantity == Q.PAUSE_FRAMES
        }
        for (port, way, priority), c in _wholes(node, Q.DROPS).items():
            if (
                priority is None
                or way is not Direction.RECEIVE
                or (port, priority) not in paused
                or not c.total
            ):
                continue
            yield Finding(
                "headroom",
                Severity.ERROR if c.risen else Severity.WARNING,
                node.at(port),
                f"{counted(c, node.seconds)}, which is lossless",
                "Its headroom is too small for cable, rate and MTU: correct roce.cable_length, or make fewer priorities lossless.",
            )


def paused(facts: Facts) -> Iterator[Finding]:
    """Needs two readings: how long ago a total began is not known."""
    for node in facts.nodes:
        for c in node.counts:
            if c.column.quantity != Q.PAUSE_MICROSECONDS or not c.risen or node.seconds <= 0:
                continue
            ratio = c.risen / 1e6 / node.seconds
            if ratio < PAUSED_RATIO:
                continue
            told = c.column.direction is Direction.RECEIVE
            yield Finding(
                "paused",
                Severity.WARNING,
                node.at(c.column.port),
                f"{named(c)}: {'told not to send' if told else 'told its peer not to send'} for {min(ratio, 1):.0%} of {node.seconds:.3g} s",
                "Follow the pauses to the port that sends them and receives none: its host or link is the bottleneck."
                if told
                else "This host takes packets too slowly: look at its PCIe link, NUMA placement and receive buffers.",
            )


def pause_history(facts: Facts) -> Iterator[Finding]:
    """Where only totals are known: that there were pauses at all."""
    for node in facts.nodes:
        by_port: dict[str, list[str]] = {}
        for c in node.counts if node.seconds <= 0 else ():
            if c.column.quantity == Q.PAUSE_FRAMES and c.total:
                by_port.setdefault(c.column.port, []).append(counted(c, 0))
        for port, said in by_port.items():
            yield Finding(
                "pauses-counted",
                Severity.INFO,
                node.at(port),
                ", ".join(said),
                "Audit the live node, where counters are watched, to see whether it still goes on.",
            )


def ecn_without_cnp(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        marked = _totals(node, Q.ECN_MARKED_PACKETS, Direction.RECEIVE)
        sent = _totals(node, Q.CNP_PACKETS, Direction.TRANSMIT)
        for port, packets in marked.items():
            if packets and sent.get(port) == 0:
                yield Finding(
                    "ecn-without-cnp",
                    Severity.WARNING,
                    node.at(port),
                    f"{packets} packets came marked by ECN and no CNP was sent",
                    "Turn on the notification point of this priority (ecn/roce_np/enable): senders are not told to slow down.",
                )


def _totals(node: NodeFacts, quantity: str, direction: Direction) -> dict[str, int]:
    """Whole ports where the sum over priorities is all there is."""
    out: dict[str, int] = {}
    for c in node.counts:
        if c.column.quantity == quantity and c.column.direction is direction and c.column.lane_id is None:
            out[c.column.port] = out.get(c.column.port, 0) + (c.total or 0)
    return out


def pci_stalled(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        for c in node.counts:
            if c.column.quantity == Q.PCI_STALLED_PERCENT and (c.total or 0) >= PCI_STALLED_PERCENT:
                reads = c.column.direction is Direction.TRANSMIT
                yield Finding(
                    "pci-stalled",
                    Severity.WARNING,
                    node.at(c.column.port),
                    f"PCIe gave no credits for {c.total} % of the last second of {'reads' if reads else 'writes'}",
                    "Look at the slot's width and speed, at NUMA placement, and at ACS between the NIC and its GPU.",
                )
