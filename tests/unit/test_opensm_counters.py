"""Performance management: what nodes of every ability answer becomes readings, and readings become columns."""

from dataclasses import dataclass, field

import pytest

from trafficd_agent.drivers.opensm import performance as p
from trafficd_agent.drivers.opensm.counters import lanes_of
from trafficd_agent.drivers.opensm.mad import Answer, Management, Query, Silence
from trafficd_agent.drivers.opensm.performance import (
    Ability,
    Place,
    Reading,
    abilities,
    decode_ability,
    decode_reading,
    encode_ability,
    encode_reading,
    readings,
)

MASKS = {1: (0, 0), 2: (1 << 9 | 1 << 12, 0), 3: (1 << 9 | 1 << 12, 1 << 1 << 5)}
"""LID -> ClassPortInfo's CapabilityMask and the word that begins with CapabilityMask2."""
UNSUPPORTED = Silence(0x000C)


def put(at: int, number: int, size: int = 8, length: int = 192) -> bytes:
    return (b"\0" * at + number.to_bytes(size, "big")).ljust(length, b"\0")


def merged(*parts: bytes) -> bytes:
    return bytes(max(column) for column in zip(*parts, strict=True))


@dataclass(slots=True)
class Subnet:
    """LID 1 counts nothing that is wide, LID 2 has a narrow PortXmitWait, LID 3 everything; LID 4 is silent."""

    asked: list[Query] = field(default_factory=list)

    def ask(self, queries: list[Query]) -> list[Answer]:
        self.asked += queries
        return [self._answer(q) for q in queries]

    def _answer(self, q: Query) -> Answer:
        assert q.management is Management.PERFORMANCE
        lid, port = q.target.lid, q.data[1]
        if lid == 4:
            return Silence()
        match q.attribute:
            case p.CLASS_PORT_INFO:
                mask, more = MASKS[lid]
                return merged(put(2, mask, 2), put(4, more, 4))
            case p.PORT_COUNTERS:
                return put(40, 2**32 - 1, 4)
            case p.PORT_COUNTERS_EXTENDED:
                sent, waited = put(8, 1000 + port), put(168, 77)
                return merged(sent, put(16, 2**64 - 1), put(24, 9), put(32, 8), put(120, 3), waited)
        return merged(put(8, 5), put(8 + 8 * 15, 2**62)) if lid == 3 else UNSUPPORTED


ABLE = {1: Ability(), 2: Ability(True, 32, False), 3: Ability(True, 64, True), 4: Ability()}
PLACES = [Place(1, 1), Place(2, 1), Place(3, 1), Place(3, 2), Place(4, 1)]
WIDE = Reading(4 * 1001, 2**64 - 4, 9, 8)
BY_SL = (20, *[0] * 15)


def test_each_node_is_asked_once_what_it_counts() -> None:
    subnet = Subnet()
    assert abilities(subnet, PLACES) == ABLE
    assert len(subnet.asked) == 2 * 4


def test_readings_are_as_wide_as_the_node_has_them_and_none_where_it_has_none() -> None:
    subnet = Subnet()
    assert readings(subnet, PLACES, ABLE) == [
        Reading(),
        WIDE._replace(wait_ticks=2**32 - 1),
        WIDE._replace(wait_ticks=77, discards=3, sent_by_sl=BY_SL, received_by_sl=BY_SL),
        WIDE._replace(sent_bytes=4 * 1002, wait_ticks=77, discards=3, sent_by_sl=BY_SL, received_by_sl=BY_SL),
        Reading(),
    ]
    # Never a Set: nothing is reset. Never the counters of 32 bits by SL.
    assert {q.attribute for q in subnet.asked} == {0x12, 0x1D, 0x38, 0x39}


def test_what_is_told_survives_its_line() -> None:
    for lid, able in ABLE.items():
        assert decode_ability(encode_ability(lid, able)) == (lid, able)
    for reading in readings(Subnet(), PLACES, ABLE):
        assert decode_reading(encode_reading(reading)) == reading
    for line in ("", "read 1 2", "able 1", "able 1 2 3 4 5", "read " + "x " * 6):
        with pytest.raises(ValueError, match=r".*"):
            decode_ability(line)
        with pytest.raises(ValueError, match=r".*"):
            decode_reading(line)


def test_lanes_are_those_that_the_file_makes_for_switch_ports() -> None:
    options = {"qos": "TRUE", "qos_sl2vl": "0,1,2,3" + ",0" * 12}
    zero = (0, *range(4, 16))
    assert lanes_of(options, "swe") == ((0, zero), (1, (1,)), (2, (2,)), (3, (3,)))
    assert lanes_of({**options, "qos_swe_sl2vl": ",".join("1" * 16)}, "swe") == ((1, tuple(range(16))),)
    assert lanes_of({**options, "qos": "FALSE"}, "swe") == lanes_of({"qos": "TRUE"}, "swe") == ()
