"""Tables for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

Rows = Iterable[Sequence[object]]


def table(head: Sequence[str], rows: Rows) -> str:
    """Columns as wide as their widest cell, two blanks apart; the last one runs free."""
    lines = [tuple(head), *(tuple("-" if c in (None, "") else str(c) for c in row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    sys.stderr.write(text + "\n")


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON values, with its own field names; fields that are empty or zero are there too.

    64-bit numbers are strings, as the JSON form of protocol buffers has them.
    """
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def say_json(value: Any) -> None:
    say(json.dumps(value, indent=2, sort_keys=True))


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        "-o",
        choices=("table", "json"),
        default="table",
        help="table for people (default), json for programs",
    )


def word(name: str) -> str:
    """The last word of an enumeration's name in lower case: MODE_ENFORCE is enforce."""
    return name.rpartition("_")[2].lower()


def percent(ratio: float) -> str:
    return f"{ratio * 100:.4g} %"
