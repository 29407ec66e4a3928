"""What a caller hands over, looked at before it is used: on the hot path a mistake is an answer, not an exception."""

from __future__ import annotations

import math
from collections.abc import Iterator

from trafficd.choice.request import (
    INVALID_ARGUMENT,
    Abilities,
    EngineReport,
    ItemProblem,
    LegBytes,
    Request,
    Reservation,
    Source,
)

_U32, _U64 = 2**32, 2**64
_LONGEST_S = _U32 / 1000


def problems_of(request: object) -> tuple[ItemProblem, ...]:
    """What of a request cannot be sent or used; empty when it is well formed."""
    if not isinstance(request, Request):
        return (_bad("request", f"must be a trafficd.client.Request, not {type(request).__name__}"),)
    return tuple(_bad(item, reason) for item, reason in _request(request))


def problems_of_reservation(reservation: object) -> tuple[ItemProblem, ...]:
    if not isinstance(reservation, Reservation):
        return (
            _bad("reservation", f"must be a trafficd.client.Reservation, not {type(reservation).__name__}"),
        )
    return tuple(_bad(item, reason) for item, reason in _reservation(reservation))


def problems_of_reports(reports: object) -> tuple[ItemProblem, ...]:
    if not isinstance(reports, list | tuple):
        return (_bad("reports", f"must be a sequence of EngineReport, not {type(reports).__name__}"),)
    return tuple(_bad(f"reports[{i}]", reason) for i, r in enumerate(reports) for reason in _report(r))


def legs_of(legs: object) -> tuple[LegBytes, ...] | None:
    """Well-formed bytes per NIC; None for anything else."""
    if not isinstance(legs, list | tuple) or not all(_named_bytes(leg) for leg in legs):
        return None
    return tuple(LegBytes(*leg) for leg in legs)


def seconds_or(value: object, otherwise: float) -> float:
    """A finite number of seconds, else ``otherwise``."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return otherwise


def _bad(item: str, reason: str) -> ItemProblem:
    return ItemProblem(item, INVALID_ARGUMENT, reason)


def _request(request: Request) -> Iterator[tuple[str, str]]:
    for name in ("id", "intent", "strategy", "engines"):
        if not is_text(getattr(request, name)):
            yield name, "must be a text"
    if not _whole(request.bytes, _U64):
        yield "bytes", "must be a whole number from 0 to 2^64-1"
    if not _whole(request.max_plans, _U32):
        yield "max_plans", "must be a whole number from 0 to 2^32-1"
    if not 0 <= seconds_or(request.reserve_s, -1.0) < _LONGEST_S:
        yield "reserve_s", f"must be a number of seconds from 0 to {_LONGEST_S:.0f}"
    for name in ("prefill", "decode"):
        refs = getattr(request, name)
        if not isinstance(refs, tuple) or not all(_engine(r) for r in refs):
            yield name, "must be a tuple of EngineRef(node, rank)"
    yield from _hints(request)
    if not _source(request.source):
        yield "source", "must be a Source of SourceNode(node, bytes) or a pool's name"
    if not _abilities(request.abilities):
        yield "abilities", "must be an Abilities with booleans and a number of legs"


def _hints(request: Request) -> Iterator[tuple[str, str]]:
    if not _whole(request.tokens, _U64):
        yield "tokens", "must be a whole number from 0 to 2^64-1"
    hits = request.prefill_hits
    if not isinstance(hits, tuple) or not all(_whole(h, _U64) for h in hits):
        yield "prefill_hits", "must be a tuple of whole numbers from 0 to 2^64-1"
    for name in ("strict", "explain"):
        if not isinstance(getattr(request, name), bool):
            yield name, "must be a boolean"


def _reservation(reservation: Reservation) -> Iterator[tuple[str, str]]:
    if not is_text(reservation.request_id):
        yield "request_id", "must be a text"
    if not 0 <= seconds_or(reservation.ttl_s, -1.0) < _LONGEST_S:
        yield "ttl_s", f"must be a number of seconds from 0 to {_LONGEST_S:.0f}"
    legs = reservation.legs
    if not isinstance(legs, tuple) or not all(_named_bytes(leg) for leg in legs):
        yield "legs", "must be a tuple of LegBytes(nic, bytes)"


def _report(report: object) -> Iterator[str]:
    if not isinstance(report, EngineReport):
        yield f"must be an EngineReport, not {type(report).__name__}"
        return
    if not _engine(report.engine):
        yield "engine must be an EngineRef(node, rank)"
    if not _whole(report.role, 2**31) or not isinstance(report.gone, bool):
        yield "role must be a Role and gone a boolean"
    for name, below in _REPORTED:
        value = getattr(report, name)
        if value is not None and not _whole(value, below):
            yield f"{name} must be a whole number from 0 to {below - 1}, or None"


_REPORTED = (
    ("gpu", _U32),
    ("read_queue_bytes", _U64),
    ("read_queue_tokens", _U64),
    ("bytes_per_token", _U64),
    ("unfinished_tokens", _U64),
    ("unfinished_sequences", _U32),
    ("free_hbm_bytes", _U64),
    ("free_dram_bytes", _U64),
    ("tokens_per_s", _U64),
)


def is_text(value: object) -> bool:
    """A string that UTF-8 can carry."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


def _whole(value: object, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _engine(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and is_text(value[0]) and _whole(value[1], _U32)


def _named_bytes(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and is_text(value[0]) and _whole(value[1], _U64)


def _source(value: object) -> bool:
    if not isinstance(value, Source) or not is_text(value.pool) or not isinstance(value.nodes, tuple):
        return False
    return all(_named_bytes(n) for n in value.nodes)


def _abilities(value: object) -> bool:
    if not isinstance(value, Abilities) or not _whole(value.max_legs, _U32):
        return False
    flags = (value.read_on_decode_side, value.relay, value.no_prefill_side)
    return all(isinstance(flag, bool) for flag in flags)
