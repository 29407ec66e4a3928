"""A process that sends subnet management packets and tells what came back: ``python -m ... [DEVICE PORT]``.

It reads one word a line from its standard input and answers in lines that end with ``end``: ``survey`` (the
records of the module ``survey``), ``ports`` (the same without tables), ``activity`` (``activity N``, or ``-`` when
the subnet manager is silent). A line ``error TEXT`` says what went wrong, for an operator. It ends when its input
does. A library that hangs or crashes takes down this process only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from trafficd_agent.drivers.opensm.mad import MadPort, NoAnswerError, OpenError
from trafficd_agent.drivers.opensm.survey import encode
from trafficd_agent.drivers.opensm.walk import sm_activity, walk


def _activity(port: MadPort) -> str:
    try:
        return f"activity {sm_activity(port)}"
    except NoAnswerError:
        return "activity -"


def _answer(port: MadPort, word: str) -> Iterator[str]:
    if word in {"survey", "ports"}:
        yield from map(encode, walk(port, tables=word == "survey"))
    elif word == "activity":
        yield _activity(port)
    else:
        yield f"error unknown word {word!r}"


def main() -> int:
    """Serve until the input ends. A device that cannot be opened is tried again at the next word."""
    device, number = sys.argv[1:3] if len(sys.argv) > 2 else ("", "0")
    port: MadPort | None = None
    for line in sys.stdin:
        try:
            port = port or MadPort(device, int(number))
            sys.stdout.writelines(f"{text}\n" for text in _answer(port, line.strip()))
        except OpenError as e:
            sys.stdout.write(f"error {e}\n")
        sys.stdout.write("end\n")
        sys.stdout.flush()
    if port is not None:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
