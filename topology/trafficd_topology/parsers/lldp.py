"""What neighbours announce by DCBX, as ``lldpctl -f json`` or ``json0`` prints it.

lldpd does not know the IEEE DCBX TLVs and prints them as unknown ones (lldpd src/client/display.c): OUI 00-80-C2, the
subtype in decimal, the bytes in hexadecimal. Their form: 802.1Q annex D.2.8 (ETS configuration, 9), D.2.10 (PFC
configuration, 11) and D.2.11 (application priority, 12).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from trafficd_topology.model import Problem
from trafficd_topology.qos.dcb import DSCPS, PRIORITIES, TSA_NUMBERS, DcbEts, Tsa, from_bitmap
from trafficd_topology.qos.switch import PeerDcb

OUI = "00,80,C2"
ETS, PFC, APP = 9, 11, 12
DSCP_SELECTOR = 5
_TSA = {number: tsa for tsa, number in TSA_NUMBERS.items()}
MAX_BYTES = 16 * 2**20


def parse_lldp(text: str | bytes) -> tuple[tuple[PeerDcb, ...], tuple[Problem, ...]]:
    """A record for each neighbour, in the order given; or every problem. Never raises."""
    if len(text) > MAX_BYTES:
        return (), (Problem("", f"{len(text)} bytes", "too large for a list of neighbours"),)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as e:
        where = f"line {e.lineno}" if isinstance(e, json.JSONDecodeError) else ""
        return (), (Problem(where, "", "not JSON, or cut off: take lldpctl -f json again"),)
    lldp = tree.get("lldp") if isinstance(tree, dict) else None
    if lldp is None:
        return (), (Problem("lldp", "", "is missing: give the output of lldpctl -f json"),)
    return tuple(p for name, m in _interfaces(lldp) if (p := _peer(name, m)) is not None), ()


def _many(value: Any) -> list[Any]:
    """json0 has lists everywhere, json only where there are several."""
    return value if isinstance(value, list) else [value]


def _interfaces(lldp: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, interface): named by key in json, by a ``name`` field in json0."""
    for block in (b for top in _many(lldp) if isinstance(top, dict) for b in _many(top.get("interface", []))):
        if not isinstance(block, dict):
            continue
        if isinstance(block.get("name"), str):
            yield block["name"], block
            continue
        for name, value in block.items():
            yield from ((name, v) for v in _many(value) if isinstance(v, dict))


def _first(value: Any, key: str) -> Any:
    found = _many(value)[0] if _many(value) else None
    return found.get(key) if isinstance(found, dict) else None


def _text(value: Any) -> str:
    """A plain value, or the ``value`` of json0's list of one."""
    inner = _first(value, "value") if isinstance(value, list | dict) else value
    return inner if isinstance(inner, str) else ""


def _chassis(m: dict[str, Any]) -> str:
    """The chassis' name: a field, or in json the key it stands under."""
    chassis = _many(m.get("chassis"))[0] if _many(m.get("chassis")) else None
    if not isinstance(chassis, dict):
        return ""
    if name := _text(chassis.get("name")):
        return name
    keys = [k for k, v in chassis.items() if isinstance(v, dict) and k != "id"]
    return keys[0] if keys else _text(chassis.get("id"))


def _peer(name: str, m: dict[str, Any]) -> PeerDcb | None:
    chassis, port = _chassis(m), _text(_first(m.get("port"), "id"))
    if not chassis:
        return None
    tlvs = dict(_tlvs(m))
    ets, pfc = tlvs.get(ETS, b""), tlvs.get(PFC, b"")
    return PeerDcb(
        chassis, port, name,
        from_bitmap(pfc[1]) if len(pfc) >= 2 else None,
        _ets(ets), tuple(_apps(tlvs.get(APP, b""))),
        bool(pfc and pfc[0] >> 7),
    )  # fmt: skip


def _tlvs(m: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
    for block in _many(m.get("unknown-tlvs", [])):
        for tlv in _many(block.get("unknown-tlv", [])) if isinstance(block, dict) else ():
            if not isinstance(tlv, dict) or str(tlv.get("oui", "")).upper() != OUI:
                continue
            subtype, value = str(tlv.get("subtype", "")), str(tlv.get("value", ""))
            if subtype.isdecimal():
                yield int(subtype), _bytes(value)


def _bytes(value: str) -> bytes:
    try:
        return bytes(int(part, 16) for part in value.split(",") if part)
    except ValueError:
        return b""


def _ets(value: bytes) -> DcbEts | None:
    """One octet of flags, 4 of priority assignment, 8 of bandwidth, 8 of algorithms."""
    if len(value) < 21:
        return None
    nibbles = [n for octet in value[1:5] for n in (octet >> 4, octet & 15)]
    tsa = tuple(_TSA.get(n, Tsa.VENDOR).value for n in value[13:21])
    percent = tuple(n if t == Tsa.ETS else 0 for n, t in zip(value[5:13], tsa, strict=True))
    if any(n >= PRIORITIES for n in nibbles):
        return None
    return DcbEts(tuple(nibbles), tsa, percent, bool(value[0] >> 7))


def _apps(value: bytes) -> Iterator[tuple[int, int]]:
    """After one reserved octet, three for each entry: priority (3 bits), reserved, selector (3 bits); 16 bits of protocol."""
    for i in range(1, len(value) - 2, 3):
        head, protocol = value[i], value[i + 1] << 8 | value[i + 2]
        if head & 7 == DSCP_SELECTOR and protocol < DSCPS:
            yield protocol, head >> 5
