"""Names of a request looked up: what is known makes a task, what is not becomes a problem of its own."""

from __future__ import annotations

from typing import cast

from trafficd.choice.request import INVALID_ARGUMENT, NOT_FOUND, EngineRef, ItemProblem, Request
from trafficd.choice.roster import Known
from trafficd.choice.snapshot import Engine, Role
from trafficd.choice.view import MOST_REMEMBERED, Task, View

MOST_CANDIDATES = 4096
MOST_SOURCES = 256
"""Nodes that one read comes from; more of them are a pool."""
MOST_LEGS = 2 * MOST_CANDIDATES
"""Candidates times sources: every plan has a leg per source, and all other callers wait until the answer is made."""
Parts = tuple[tuple[str, int, tuple[int, ...]], ...]


def resolve(view: View, request: Request, key: str, now: float) -> tuple[Task | None, list[ItemProblem]]:
    """The task, or None when nothing can be answered; with a problem for each item that could not be used."""
    problems: list[ItemProblem] = []
    if not _executable(request, problems):
        return None, problems
    prefill = _engines(view, request.prefill, Role.PREFILL, problems)
    hits = request.prefill_hits
    if hits and problems:
        hits = _hits(request, prefill)
    decode = _engines(view, request.decode, Role.DECODE, problems)
    parts = _parts(view, request, problems)
    size = request.bytes or sum(part[1] for part in parts)
    if request.decode and not decode and request.abilities.read_on_decode_side:
        prefill = () if request.abilities.no_prefill_side else prefill
    task = Task(view, request, now, size, _scaled(parts, size), prefill, decode, key, hits)
    return task, problems


def _hits(request: Request, prefill: tuple[Known, ...]) -> tuple[int, ...]:
    """Of those candidates that are known."""
    told = dict(zip(request.prefill, request.prefill_hits, strict=False))
    return tuple(told.get(known.ref, 0) for known in prefill)


def _executable(request: Request, problems: list[ItemProblem]) -> bool:
    abilities = request.abilities
    if abilities.no_prefill_side and not abilities.read_on_decode_side:
        reason = "the caller can read on neither side: set read_on_decode_side or unset no_prefill_side"
        problems.append(ItemProblem("abilities", INVALID_ARGUMENT, reason))
    few = len(request.prefill) + len(request.decode) < MOST_SOURCES and len(request.source.nodes) < 2
    if not few and (reason := _too_much(request)):
        problems.append(ItemProblem("request", INVALID_ARGUMENT, reason))
    if request.bytes < 0:
        problems.append(ItemProblem("bytes", INVALID_ARGUMENT, "a read cannot have fewer than 0 bytes"))
    if request.prefill_hits and len(request.prefill_hits) != len(request.prefill):
        reason = "give as many as prefill candidates, or none"
        problems.append(ItemProblem("prefill_hits", INVALID_ARGUMENT, reason))
    return not problems


def _too_much(request: Request) -> str:
    """Why this is more than one answer can be made of; empty when it is not."""
    prefill, decode, sources = len(request.prefill), len(request.decode), len(request.source.nodes)
    if max(prefill, decode) > MOST_CANDIDATES:
        return f"more than {MOST_CANDIDATES} candidates: name fewer"
    if sources > MOST_SOURCES:
        return f"more than {MOST_SOURCES} source nodes: name fewer, or a pool"
    if (prefill + decode) * sources > MOST_LEGS:
        return f"candidates times source nodes are more than {MOST_LEGS}: name fewer of either"
    return ""


def _engines(
    view: View, wanted: tuple[EngineRef, ...], role: Role, problems: list[ItemProblem]
) -> tuple[Known, ...]:
    """The engines named, or every one of the role when none is."""
    if not wanted:
        return anyone(view, role)
    if len(wanted) == 1:
        one = view.roster.known.get(wanted[0])
        if one is not None and wanted[0].node in view.index.node_ids:
            return (one,)
    node_ids = view.index.node_ids
    found: list[Known] = []
    for i, ref in enumerate(wanted):
        known = view.roster.known.get(ref) or _stranger(view, ref)
        if known is not None and ref.node in node_ids:
            found.append(known)
            continue
        what = "no such engine on that node" if ref.node in node_ids else "no such node"
        problems.append(ItemProblem(f"{role.name.lower()}[{i}] {ref.node}/{ref.rank}", NOT_FOUND, what))
    return tuple(found)


def _stranger(view: View, ref: EngineRef) -> Known | None:
    """An engine of a node whose engines never announced themselves: any rank may be there."""
    if ref.node not in view.index.node_ids or ref.node in view.roster.announced:
        return None
    known = view.strangers.get(ref)
    if known is None:
        if len(view.strangers) > MOST_REMEMBERED:
            view.strangers.clear()
        known = view.strangers[ref] = Known(Engine(ref.node, ref.rank))
    return known


def anyone(view: View, role: Role) -> tuple[Known, ...]:
    """Engines of a role; nodes of that role without announced engines stand for one engine each."""
    found = view.roles.get(role)
    if found is None:
        node_ids, announced = view.index.node_ids, view.roster.announced
        members = (k for k in view.roster.known.values() if k.ref.node in node_ids)
        names = (view.layout.nodes[i].name for i in view.index.roles[role])
        strangers = (_stranger(view, EngineRef(name)) for name in names if name not in announced)
        mine = (k for k in members if role_of(view, k) is role)
        found = view.roles[role] = (*mine, *(k for k in strangers if k is not None))
    return found


def role_of(view: View, known: Known) -> Role:
    """What the engine says it is, else what its host is."""
    return known.engine.role or view.layout.nodes[view.index.node_ids[known.ref.node]].role


def _parts(view: View, request: Request, problems: list[ItemProblem]) -> Parts:
    source = request.source
    if source.pool and not source.nodes:
        servers = view.index.pools.get(source.pool)
        if servers is None:
            problems.append(ItemProblem(f"source.pool {source.pool}", NOT_FOUND, "no host serves that pool"))
            return ()
        return ((f"pool:{source.pool}", request.bytes, servers),)
    found: list[tuple[str, int, tuple[int, ...]]] = []
    for i, (node, size) in enumerate(source.nodes):
        node_id = view.index.node_ids.get(node)
        if node_id is None:
            problems.append(ItemProblem(f"source.nodes[{i}] {node}", NOT_FOUND, "no such node"))
        else:
            found.append((f"node:{node}", size, view.index.readers[node_id]))
    return tuple(found)


def _scaled(parts: Parts, size: int) -> Parts:
    """Parts whose bytes sum to the read's: in proportion to what each node holds, evenly when nobody said."""
    if len(parts) == 1:
        return ((parts[0][0], size, parts[0][2]),)
    held = sum(part[1] for part in parts)
    if held == size or not parts:
        return parts
    weights = [part[1] for part in parts] if held else [1] * len(parts)
    total, left, scaled = sum(weights), size, []
    for (source, _, servers), weight in zip(parts[:-1], weights, strict=False):
        share = size * weight // total
        left -= share
        scaled.append((source, share, servers))
    return cast("Parts", (*scaled, (parts[-1][0], left, parts[-1][2])))
