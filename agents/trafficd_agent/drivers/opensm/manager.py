"""What the subnet manager says: who is master, how busy it is, and which SL it gives a path. Pure over an asker.

Sources: IBA 1.4 sections 14.2.5.13 (SMInfo), 15.2.5.16 (PathRecord) and 15.2.1 (component masks); the places of
PathRecord's fields are those of OpenSM's ``ib_path_rec_t``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from trafficd_agent.drivers.opensm.mad import Asker, Attribute, Management, Query, Silence, Target

STANDBY, MASTER = 2, 3
"""SMState of SMInfo."""
PATH_RECORD = 0x35
_SERVICE, _DLID, _SLID, _NUMBER, _PKEY = 0b11, 1 << 4, 1 << 5, 1 << 12, 1 << 13
_PATH = struct.Struct(">QQ16x16xHHIBBH")
SL_AT = 53


@dataclass(frozen=True, slots=True)
class Manager:
    """The master subnet manager, and what stands at the local port. None: no answer."""

    master_guid: int | None
    """Of its port."""
    local_guid: int
    sent: int | None
    """Packets that the master has sent so far, by its own count (ActCount)."""
    local_state: int | None
    """SMState of the subnet manager at the local port, when that is not the master; None without any."""


@dataclass(frozen=True, slots=True)
class PathAsk:
    """Which SL a packet from one LID to another gets, in a partition (whole P_Key), of a service (0: none)."""

    source: int
    destination: int
    pkey: int
    service: int = 0


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def ask_manager(asker: Asker) -> Manager:
    """Ask the local port who its master is, then that one, and where that is another one the local port."""
    node, port = asker.ask([Query(Target(), Attribute.NODE_INFO), Query(Target(), Attribute.PORT_INFO)])
    if isinstance(node, Silence) or isinstance(port, Silence):
        return Manager(None, 0, None, None)
    local = _number(node, 20, 8)
    info = asker.ask([Query(Target(lid=_number(port, 18, 2)), Attribute.SM_INFO)])[0]
    master, sent = (None, None) if isinstance(info, Silence) else (_number(info, 0, 8), _number(info, 16, 4))
    if master == local:
        return Manager(master, local, sent, MASTER)
    mine = asker.ask([Query(Target(lid=_number(port, 16, 2)), Attribute.SM_INFO)])[0]
    return Manager(master, local, sent, None if isinstance(mine, Silence) else mine[20] & 0xF)


def ask_paths(asker: Asker, asks: Iterable[PathAsk]) -> list[int | None]:
    """The SL of each path; None where there is no such path, or no answer."""
    port = asker.ask([Query(Target(), Attribute.PORT_INFO)])[0]
    wanted = list(asks)
    if isinstance(port, Silence):
        return [None] * len(wanted)
    target = Target(lid=_number(port, 18, 2))
    queries = [Query(target, PATH_RECORD, 0, Management.SA, _path_query(a)) for a in wanted]
    answers = asker.ask(queries)
    return [None if isinstance(a, Silence) else a[SL_AT] & 0xF for a in answers]


def _path_query(ask: PathAsk) -> bytes:
    mask = _DLID | _SLID | _PKEY | _NUMBER | (_SERVICE if ask.service else 0)
    return _PATH.pack(mask, ask.service, ask.destination, ask.source, 0, 0, 1, ask.pkey)


def _word(number: int | None) -> str:
    return "-" if number is None else str(number)


def _optional(word: str) -> int | None:
    return None if word == "-" else int(word)


def encode_manager(m: Manager) -> str:
    """One line, without its end."""
    return f"manager {_word(m.master_guid)} {m.local_guid} {_word(m.sent)} {_word(m.local_state)}"


def decode_manager(line: str) -> Manager:
    """ValueError when it is no such line."""
    word, master, local, sent, state = line.split()
    if word != "manager":
        raise ValueError(f"not a manager: {line!r}")
    return Manager(_optional(master), int(local), _optional(sent), _optional(state))


def encode_path(ask: PathAsk) -> str:
    """One word."""
    return f"{ask.source},{ask.destination},{ask.pkey},{ask.service}"


def decode_path(word: str) -> PathAsk:
    return PathAsk(*map(int, word.split(",")))


def encode_sl(sl: int | None) -> str:
    return f"sl {_word(sl)}"


def decode_sl(line: str) -> int | None:
    """ValueError when it is no such line."""
    word, number = line.split()
    if word != "sl":
        raise ValueError(f"not an SL: {line!r}")
    return _optional(number)
