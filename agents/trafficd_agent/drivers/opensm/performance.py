"""Counters of a subnet's ports through performance management: pure over an asker.

Sources: IBA 1.4 chapter 16: ClassPortInfo (16.3.1), PortCounters (16.1.3.5), PortCountersExtended (16.1.4.11). The
64-bit counters by SL are attributes 0x38 and 0x39 of NVIDIA devices (their layout as in NVIDIA's ``ibis`` library:
sixteen counters from byte 8); the standard's own (0x36, 0x37) have 32 bits, which fill in 0.34 s at 400 Gb/s, and are not
read. Nothing is ever reset. Data is counted in words of 4 bytes, and becomes bytes here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from trafficd_agent.drivers.opensm.mad import Answer, Asker, Management, Query, Silence, Target

CLASS_PORT_INFO, PORT_COUNTERS, PORT_COUNTERS_EXTENDED = 0x01, 0x12, 0x1D
XMIT_DATA_SL_EXT, RCV_DATA_SL_EXT = 0x38, 0x39
EXTENDED_WIDTH = 1 << 9 | 1 << 10
"""CapabilityMask: IsExtendedWidthSupported, and the form of it without the counters of single packets."""
XMIT_WAIT = 1 << 12
MORE_EXTENDED = 1 << 1
"""CapabilityMask2: IsAdditionalPortCountersExtendedSupported, PortXmitWait and errors in 64 bits."""
WORD_BYTES = 4
SLS = 16
_EVERY = b"\xff\xff"
MISSING: tuple[None, ...] = (None,) * SLS


class Place(NamedTuple):
    """A port to read: where its node answers, and the port's number."""

    lid: int
    port: int


@dataclass(frozen=True, slots=True)
class Ability:
    """What a node's ports count. ``wait_bits``: of PortXmitWait, 0 without one. ``by_sl``: in 64 bits."""

    wide: bool = False
    wait_bits: int = 0
    by_sl: bool = False


class Reading(NamedTuple):
    """Counters of one port; None where it has none, or did not answer. ``discards`` only in 64 bits."""

    sent_bytes: int | None = None
    received_bytes: int | None = None
    sent_packets: int | None = None
    received_packets: int | None = None
    wait_ticks: int | None = None
    discards: int | None = None
    sent_by_sl: tuple[int | None, ...] = MISSING
    received_by_sl: tuple[int | None, ...] = MISSING


NOTHING = Reading()


def _query(place: Place, attribute: int) -> Query:
    return Query(Target(lid=place.lid), attribute, 0, Management.PERFORMANCE, bytes((0, place.port)) + _EVERY)


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def abilities(asker: Asker, places: Iterable[Place]) -> dict[int, Ability]:
    """LID -> what its node counts; asked once for each node, of its first port. One that is silent counts nothing."""
    first = {p.lid: p for p in reversed(list(places))}
    among = list(first.values())
    infos = asker.ask([_query(p, CLASS_PORT_INFO) for p in among])
    by_sl = asker.ask([_query(p, XMIT_DATA_SL_EXT) for p in among])
    return {p.lid: _ability(i, s) for p, i, s in zip(among, infos, by_sl, strict=True)}


def _ability(info: Answer, by_sl: Answer) -> Ability:
    if isinstance(info, Silence):
        return Ability()
    mask, more = _number(info, 2, 2), _number(info, 4, 4) >> 5
    wide = bool(mask & EXTENDED_WIDTH)
    wait = 64 if wide and more & MORE_EXTENDED else 32 if mask & XMIT_WAIT else 0
    return Ability(wide, wait, isinstance(by_sl, bytes))


def readings(asker: Asker, places: list[Place], able: dict[int, Ability]) -> list[Reading]:
    """One reading for each port, in their order."""
    queries, spans = list[Query](), list[range]()
    for place in places:
        start = len(queries)
        queries += [_query(place, attribute) for attribute in _attributes(able.get(place.lid, Ability()))]
        spans.append(range(start, len(queries)))
    answers = asker.ask(queries)
    return [
        _reading(able.get(place.lid, Ability()), {queries[i].attribute: answers[i] for i in span})
        for place, span in zip(places, spans, strict=True)
    ]


def _attributes(able: Ability) -> list[int]:
    wide = [PORT_COUNTERS_EXTENDED] if able.wide else []
    narrow = [PORT_COUNTERS] if able.wait_bits == 32 else []
    return wide + narrow + ([XMIT_DATA_SL_EXT, RCV_DATA_SL_EXT] if able.by_sl else [])


def _reading(able: Ability, answers: dict[int, Answer]) -> Reading:
    wide = answers.get(PORT_COUNTERS_EXTENDED, Silence())
    found = NOTHING
    if isinstance(wide, bytes):
        found = Reading(_bytes(wide, 8), _bytes(wide, 16), _number(wide, 24, 8), _number(wide, 32, 8))
        if able.wait_bits == 64:
            found = found._replace(wait_ticks=_number(wide, 168, 8), discards=_number(wide, 120, 8))
    narrow = answers.get(PORT_COUNTERS, Silence())
    if isinstance(narrow, bytes):
        found = found._replace(wait_ticks=_number(narrow, 40, 4))
    return found._replace(
        sent_by_sl=_by_sl(answers.get(XMIT_DATA_SL_EXT, Silence())),
        received_by_sl=_by_sl(answers.get(RCV_DATA_SL_EXT, Silence())),
    )


def _by_sl(data: Answer) -> tuple[int | None, ...]:
    if isinstance(data, Silence):
        return MISSING
    return tuple(_bytes(data, 8 + 8 * sl) for sl in range(SLS))


def _bytes(data: bytes, start: int) -> int:
    """A count of words as one of bytes that wraps at 2^64, as the words do."""
    return WORD_BYTES * _number(data, start, 8) % 2**64


def _word(number: int | None) -> str:
    return "-" if number is None else str(number)


def _optional(word: str) -> int | None:
    return None if word == "-" else int(word)


def encode_ability(lid: int, able: Ability) -> str:
    """One line, without its end."""
    return f"able {lid} {able.wide:d} {able.wait_bits} {able.by_sl:d}"


def decode_ability(line: str) -> tuple[int, Ability]:
    """ValueError when it is no such line."""
    word, lid, wide, wait, by_sl = line.split()
    if word != "able":
        raise ValueError(f"not an ability: {line!r}")
    return int(lid), Ability(wide == "1", int(wait), by_sl == "1")


def encode_reading(r: Reading) -> str:
    """One line, without its end; counters by SL only where there are any."""
    words = [_word(n) for n in r[:6]]
    if r.sent_by_sl != MISSING or r.received_by_sl != MISSING:
        words += [_word(n) for n in (*r.sent_by_sl, *r.received_by_sl)]
    return "read " + " ".join(words)


def decode_reading(line: str) -> Reading:
    """ValueError when it is no such line."""
    word, *rest = line.split()
    numbers = tuple(map(_optional, rest))
    if word != "read" or len(numbers) not in {6, 6 + 2 * SLS}:
        raise ValueError(f"not a reading: {line!r}")
    sent, received, sent_packets, received_packets, wait, discards = numbers[:6]
    plain = Reading(sent, received, sent_packets, received_packets, wait, discards)
    if len(numbers) == 6:
        return plain
    return plain._replace(sent_by_sl=numbers[6 : 6 + SLS], received_by_sl=numbers[6 + SLS :])
