"""A process that sends management datagrams and tells what came back: ``python -m ... [DEVICE PORT IN_FLIGHT]``.

It reads one question a line from its standard input and answers in lines that end with ``end``:

``ports``             the records of the module ``survey``, without tables
``survey all``        the same with tables, SL2VL of every pair of ports of a switch
``survey one TURN``   the same with SL2VL of one pair for each out port
``manager``, ``paths QUERY ...``   what the module ``manager`` says
``watch LID,PORT ...``             which ports are read from now on, and what their nodes count (module ``performance``)
``counters``          a line for each port that is watched

A line ``error TEXT`` says what went wrong, for an operator. The process ends when its input does. A library that hangs
or crashes takes down this process only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from trafficd_agent.drivers.opensm.manager import (
    ask_manager,
    ask_paths,
    decode_path,
    encode_manager,
    encode_sl,
)
from trafficd_agent.drivers.opensm.performance import (
    Ability,
    Place,
    abilities,
    encode_ability,
    encode_reading,
    readings,
)
from trafficd_agent.drivers.opensm.survey import encode
from trafficd_agent.drivers.opensm.umad import IN_FLIGHT, OpenError, UmadPort
from trafficd_agent.drivers.opensm.walk import every_pair, one_pair, walk


@dataclass(slots=True)
class Watched:
    """The ports whose counters are read."""

    places: list[Place] = field(default_factory=list)
    able: dict[int, Ability] = field(default_factory=dict)


def _answer(port: UmadPort, watched: Watched, words: list[str]) -> Iterator[str]:
    match words:
        case ["ports"]:
            yield from map(encode, walk(port))
        case ["survey", "all"]:
            yield from map(encode, walk(port, every_pair))
        case ["survey", "one", turn]:
            yield from map(encode, walk(port, one_pair(int(turn))))
        case ["manager"]:
            yield encode_manager(ask_manager(port))
        case ["paths", *queries]:
            yield from map(encode_sl, ask_paths(port, [decode_path(q) for q in queries]))
        case ["watch", *places]:
            watched.places = [Place(*map(int, p.split(","))) for p in places]
            watched.able = abilities(port, watched.places)
            yield from (encode_ability(lid, able) for lid, able in watched.able.items())
        case ["counters"]:
            yield from map(encode_reading, readings(port, watched.places, watched.able))
        case _:
            yield f"error unknown question {' '.join(words)!r}"


def main() -> int:
    """Serve until the input ends. A device that cannot be opened is tried again at the next question."""
    device, number, in_flight = sys.argv[1:4] if len(sys.argv) > 3 else ("", "0", str(IN_FLIGHT))
    port: UmadPort | None = None
    watched = Watched()
    for line in sys.stdin:
        try:
            port = port or UmadPort(device, int(number), int(in_flight))
            port.forgive()
            sys.stdout.writelines(f"{text}\n" for text in _answer(port, watched, line.split()))
        except (OpenError, OSError) as e:
            sys.stdout.write(f"error {e}\n")
        sys.stdout.write("end\n")
        sys.stdout.flush()
    if port is not None:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
