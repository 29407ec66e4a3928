"""The files that OpenSM reads beside opensm.conf: QoS policy (which SL a PathRecord answers) and partitions.

Sources: opensm doc QoS_management_in_OpenSM.txt section 5 (simplified policy) and partition-config.txt. A policy file
changes answers to PathRecord queries alone: it forces nobody, and an application that sets its SL itself never asks.
The first rule that fits an answer counts, and ``default`` counts where none fits, over the SL of the partition too;
so every partition with an SL has a rule as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

BEGIN = "# trafficd: begin (what stands up to the line 'trafficd: end' is written by trafficd)"
END = "# trafficd: end"
HEAD = "# Written by trafficd. Hand edits are found and undone."
FULL_MEMBER = 0x8000
"""Bit 15 of a P_Key: full membership."""
DEFAULT_PKEY = 0x7FFF
EVERYBODY = "ALL"
_BLOCK = re.compile(
    r"^# trafficd: begin[^\n]*\n(.*?)^# trafficd: end[^\n]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)
_RULE = re.compile(
    r"^\s*(?:(default|ipoib)|any\s*,\s*(pkey|service-id|target-port-guid)\s+(0x[0-9a-f]+)(?:-0x[0-9a-f]+)?\S*)"
    r"\s*:\s*(\d+)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PathRule:
    """Who asks for such a path gets ``sl``: one of a P_Key (15 bits), a range of service ids, or destination ports."""

    sl: int
    pkey: int | None = None
    service_ids: tuple[int, int] | None = None
    target_guids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition with an SL of its own. ``pkey`` has 15 bits; ``guids`` are its full members, all ports where empty."""

    name: str
    pkey: int
    sl: int
    ipoib: bool = False
    guids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PathQuery:
    """A PathRecord query and the SL that its answer must have; nothing given: any two ports, as an unmarked asker."""

    sl: int
    pkey: int | None = None
    service_id: int | None = None
    target_guid: int | None = None

    @property
    def key(self) -> str:
        """``default``, ``pkey 0x0002``, ``service-id 0x1060005`` or ``target-port-guid 0x...``: key of ``path_sl``."""
        if self.pkey is not None:
            return f"pkey 0x{self.pkey:04x}"
        if self.service_id is not None:
            return f"service-id 0x{self.service_id:x}"
        return "default" if self.target_guid is None else f"target-port-guid 0x{self.target_guid:016x}"


def qos_policy_text(rules: Iterable[PathRule], default_sl: int, ipoib_sl: int) -> str:
    """The whole policy file in its simplified form: rules in the order given, then IPoIB, then everything else."""
    lines = [HEAD, "qos-ulps"]
    for rule in rules:
        lines += [f"    any, {what} : {rule.sl}" for what in _conditions(rule)]
    lines += [f"    ipoib : {ipoib_sl}", f"    default : {default_sl}", "end-qos-ulps"]
    return "\n".join(lines) + "\n"


def _conditions(rule: PathRule) -> Iterator[str]:
    if rule.pkey is not None:
        yield f"pkey 0x{rule.pkey:04x}"
    if rule.service_ids is not None:
        low, high = rule.service_ids
        yield f"service-id 0x{low:x}" + (f"-0x{high:x}" if high != low else "")
    yield from (f"target-port-guid 0x{guid:016x}" for guid in rule.target_guids)


def path_queries(qos_policy: str) -> tuple[PathQuery, ...]:
    """What to ask, to see that OpenSM answers as this policy file says; of a range of service ids its first.

    Rules in a form that ``qos_policy_text`` does not write are passed over.
    """
    return tuple(q for line in qos_policy.splitlines() if (q := _query(line.partition("#")[0])))


def _query(line: str) -> PathQuery | None:
    found = _RULE.match(line)
    if found is None or (found[1] or "").lower() == "ipoib":
        return None
    sl, number = int(found[4]), int(found[3] or "0", 16)
    match (found[2] or "").lower():
        case "pkey":
            return PathQuery(sl, pkey=number)
        case "service-id":
            return PathQuery(sl, service_id=number)
        case "target-port-guid":
            return PathQuery(sl, target_guid=number)
    return PathQuery(sl)


def partitions_text(partitions: Iterable[Partition]) -> str:
    """The block of the partition file, a member a line: OpenSM reads lines of limited length."""
    return "".join(line + "\n" for p in partitions for line in _partition(p))


def _partition(p: Partition) -> Iterator[str]:
    flags = ", ipoib" if p.ipoib else ""
    yield f"{p.name}=0x{p.pkey:04x}{flags}, sl={p.sl}, defmember=full :"
    members = [f"0x{guid:016x}=full" for guid in p.guids] or [f"{EVERYBODY}=full"]
    yield from (f"    {m}," for m in members[:-1])
    yield f"    {members[-1]};"


def partition_block(text: str) -> str:
    """Our block of a partition file, without its marker lines; empty where there is none."""
    found = _BLOCK.search(text)
    return found[1] if found else ""


def with_partition_block(text: str, block: str) -> str:
    """The partition file with this block in place of ours (at its end where there was none); all else stays.

    An empty block takes the marker lines away too.
    """
    fresh = f"{BEGIN}\n{block}{END}\n" if block else ""
    if _BLOCK.search(text):
        return _BLOCK.sub(lambda _: fresh, text, count=1)
    lead = "\n" if fresh and text and not text.endswith("\n") else ""
    return text + lead + fresh
