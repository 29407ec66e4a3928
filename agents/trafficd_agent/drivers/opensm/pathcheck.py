"""Which paths to ask the subnet manager for, to see that each class gets its SL: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trafficd_agent.drivers.opensm.manager import PathAsk
from trafficd_agent.drivers.opensm.survey import SWITCH, Port
from trafficd_topology.diff import Element
from trafficd_topology.qos.ib import IbTable
from trafficd_topology.qos.ib_files import DEFAULT_PKEY, FULL_MEMBER, PathQuery, path_queries

_HEAD = re.compile(r"^\s*[^#:]*=\s*0x([0-9a-f]+)[^:]*:", re.IGNORECASE | re.MULTILINE)
_MEMBER = re.compile(r"0x([0-9a-f]{9,16})\s*=\s*full", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One path of one query."""

    query: PathQuery
    ask: PathAsk


def members(partitions: str) -> dict[int, frozenset[int]]:
    """P_Key (15 bits) -> port GUIDs of its full members; without any, all ports are."""
    found: dict[int, frozenset[int]] = {}
    for block in partitions.split(";"):
        if head := _HEAD.search(block):
            guids = (int(guid, 16) for guid in _MEMBER.findall(block[head.end() :]))
            found[int(head[1], 16) & DEFAULT_PKEY] = frozenset(guids)
    return found


def samples(policy: str, partitions: str, ports: Sequence[Port], count: int) -> tuple[Sample, ...]:
    """``count`` paths for each query of the policy file, between ports that may use them, spread over the subnet."""
    adapters = [p for p in ports if p.type != SWITCH and p.lid]
    by_pkey = members(partitions)
    return tuple(
        Sample(query, ask)
        for query in path_queries(policy)
        for ask in _asks(query, adapters, by_pkey.get(query.pkey or DEFAULT_PKEY, frozenset()), count)
    )


def _asks(query: PathQuery, adapters: list[Port], guids: frozenset[int], count: int) -> Iterator[PathAsk]:
    among = [p for p in adapters if not guids or p.port_guid in guids]
    targets = [p for p in among if query.target_guid in {None, p.port_guid}]
    step = max(1, len(targets) // max(1, count))
    for i in range(min(count, len(targets))):
        target = targets[i * step]
        source = among[(among.index(target) + len(among) // 2) % len(among)]
        pkey = FULL_MEMBER | (DEFAULT_PKEY if query.pkey is None else query.pkey)
        yield PathAsk(source.lid, target.lid, pkey, query.service_id or 0)


def wrong(asked: Sequence[Sample], sls: Sequence[int | None]) -> tuple[Element, ...]:
    """Each query that got another SL than the policy file says on some path."""
    found = {
        s.query.key: Element("path_sl", s.query.key, IbTable((sl,)))
        for s, sl in zip(asked, sls, strict=True)
        if sl is not None and sl != s.query.sl
    }
    return tuple(found.values())


def unanswered(asked: Sequence[Sample], sls: Sequence[int | None]) -> tuple[str, ...]:
    """Queries that got no answer on any path."""
    got = {s.query.key for s, sl in zip(asked, sls, strict=True) if sl is not None}
    return tuple(sorted({f"path_sl of {s.query.key}" for s in asked if s.query.key not in got}))
