"""Any saved form of an InfiniBand subnet to Subnets: which form it is, and where one dump ends and the next begins."""

from __future__ import annotations

from itertools import groupby

from trafficd_topology.parsers.ib_port_lines import is_port_line, read_ports
from trafficd_topology.parsers.ibnetdiscover import HEADER, read_dump
from trafficd_topology.parsers.subnet_draft import subnet
from trafficd_topology.subnet import Subnet

MAX_LINE = 4096
"""Characters of a line that are looked at: no tool writes longer ones, and patterns stay quick."""


def parse_subnets(text: str) -> tuple[Subnet, ...]:
    """Every dump in the text, in order; none where no line is understood. Never raises.

    Dumps that follow each other in one text are kept apart, because subnets share LIDs.
    """
    # Only a line feed ends a line: a description may hold any other character.
    lines = [(n, line[:MAX_LINE]) for n, line in enumerate(text.split("\n"), 1)]
    found = []
    for part in _parts(lines):
        by_port = any(is_port_line(line) for _, line in part)
        read = subnet(read_ports(part) if by_port else read_dump(part))
        if read.nodes:
            found.append(read)
    return tuple(found)


def _parts(lines: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Split before each header; what stands before the first belongs to it."""
    count = 0
    marked = []
    for number, line in lines:
        count += HEADER in line
        marked.append((max(count, 1), (number, line)))
    return [[line for _, line in part] for _, part in groupby(marked, key=lambda x: x[0])]
