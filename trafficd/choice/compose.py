"""A strategy as two rules: one picks the engines, one orders the ways of that pair. Plans, scores and what else was
asked about are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple, Protocol

from trafficd.choice.evidence import Explanation
from trafficd.choice.request import Fallback, FallbackReason, Plan
from trafficd.choice.roster import Known
from trafficd.choice.view import Ranked, Task
from trafficd.choice.ways import Limit, Way, by_seconds, decode_way, legs_of, prefill_way

QUEUE_VALID_S = 30.0
"""A queue reported longer ago than this is no report."""
UNNAMED_ALTERNATIVES = 7
"""Further plans per role when the engines are left to us; named candidates are all ranked."""
MOST_PAIRS = 256
"""Pairs tried at most when the chosen engines cannot read at all."""
STRICT_SCORE = 0.5
"""A strict answer leaves out plans that take more than twice as long as the best."""
Pair = tuple[Known, Known | None]
"""Prefill and decode engine."""


class Part(NamedTuple):
    """Some bytes of a read on one way, what limits them, and how long they take."""

    way: Way
    size: int
    limit: Limit
    seconds: float


class Option(NamedTuple):
    """The whole read for one pair of engines, in one part or several."""

    seconds: float
    pair: Pair
    parts: tuple[Part, ...]


class EngineRule(Protocol):
    """Picks engines; None when there is no prefill engine."""

    @property
    def name(self) -> str: ...

    def pick(self, task: Task) -> Pair | None: ...


class PathRule(Protocol):
    """Orders what a pair of engines can do, best first. ``ways`` is not empty; stale says that telemetry is missing."""

    def order(self, task: Task, pair: Pair, ways: list[Way], *, stale: bool) -> list[Option]: ...


Explainer = Callable[[Task, tuple[str, str], Sequence[Option], Fallback | None], Explanation]


def single(task: Task, pair: Pair, way: Way) -> Option:
    """The whole read on one way."""
    return Option(way.seconds, pair, (Part(way, task.size, way.limit, way.seconds),))


def ways_of(task: Task, pair: Pair) -> list[Way]:
    """What the caller can execute for these engines: prefill side, decode side."""
    abilities = task.request.abilities
    prefill, decode = pair
    found: list[Way] = []
    if not abilities.no_prefill_side:
        way = prefill_way(task, prefill, decode)
        if way is not None:
            found.append(way)
    if abilities.read_on_decode_side and decode is not None:
        way = decode_way(task, prefill, decode)
        if way is not None:
            found.append(way)
    return found


@dataclass(frozen=True, slots=True)
class Composed:
    """A strategy of two rules."""

    name: str
    engines: EngineRule
    paths: PathRule
    explain: Explainer

    def rank(self, task: Task) -> Ranked:
        """Engines, then ways, then what else was asked about."""
        pair = self.engines.pick(task)
        if pair is None:
            return Ranked((), (), None)
        ways = ways_of(task, pair)
        if not ways:
            return self._elsewhere(task, pair)
        fallback = missing(task, ways)
        options = self.paths.order(task, pair, ways, stale=is_stale(fallback))
        if task.request.max_plans != 1 and len(task.prefill) + len(task.decode) > 2:
            options += _alternatives(task, pair)
        return self._ranked(task, options, fallback)

    def _ranked(self, task: Task, options: list[Option], fallback: Fallback | None) -> Ranked:
        request, best = task.request, options[0].seconds
        if request.strict:
            options = [o for i, o in enumerate(options) if i == 0 or best >= STRICT_SCORE * o.seconds]
        if request.max_plans > 0:
            options = options[: request.max_plans]
        explanation = None
        if request.explain:
            explanation = self.explain(task, (self.name, self.engines.name), options, fallback)
        parts = options[0].parts
        nics = parts[0].way.nics if len(parts) == 1 else tuple([i for part in parts for i in part.way.nics])
        return Ranked(tuple([_plan(task, o, best) for o in options]), nics, fallback, explanation)

    def _elsewhere(self, task: Task, pair: Pair) -> Ranked:
        """The pair chosen by load cannot read: take the best that can."""
        prefill, decode = pair
        pairs: list[Pair] = list(islice(product(task.prefill, task.decode or (decode,)), MOST_PAIRS))
        pairs += [(prefill, d) for d in islice(task.decode, MOST_PAIRS)]
        pairs += [(p, decode) for p in islice(task.prefill, MOST_PAIRS)]
        options = [single(task, p, way) for p in dict.fromkeys(pairs) for way in ways_of(task, p)]
        options.sort(key=lambda option: option.seconds)
        if not options:
            return Ranked((), (), None)
        return self._ranked(task, options, missing(task, [options[0].parts[0].way]))


def is_stale(fallback: Fallback | None) -> bool:
    """Whether a fallback means that measurements are missing."""
    return fallback is not None and fallback.reason is not FallbackReason.NO_QUEUE


def missing(task: Task, ways: Iterable[Way]) -> Fallback | None:
    """What the choice between these ways would need and does not have."""
    view, now = task.view, task.now
    fresh = view.fresh_until
    for way in ways:
        for i in way.nics:
            if fresh[i] < now:
                return _untold(task, [j for w in ways for j in w.nics if fresh[j] < now])
    queue_at = view.roster.queue_at
    for way in ways:
        reported = queue_at.get(way.reader)
        if reported is None or now - reported > QUEUE_VALID_S:
            detail = f"no engine of {way.reader} reported its read queue; only reservations count there"
            return Fallback(FallbackReason.NO_QUEUE, detail)
    return None


def _untold(task: Task, old: Sequence[int]) -> Fallback:
    view = task.view
    for i in old:
        if view.states[i].measured_unix_ns is None:
            detail = f"no telemetry of {view.index.nic_names[i]}; sides were weighted by their nominal rates"
            return Fallback(FallbackReason.NO_TELEMETRY, detail)
    valid_s = view.snapshot.valid_for_ms / 1000
    age = task.now - view.fresh_until[old[0]] + valid_s
    name = view.index.nic_names[old[0]]
    detail = f"telemetry of {name} is {age:.1f} s old, valid for {valid_s:g} s; sides were weighted by their nominal rates"
    return Fallback(FallbackReason.STALE_TELEMETRY, detail)


def _plan(task: Task, option: Option, best: float) -> Plan:
    prefill, decode = option.pair
    score = best / option.seconds if option.seconds > best else 1.0
    ref = None if decode is None else decode.ref
    if len(option.parts) == 1:
        part = option.parts[0]
        legs = legs_of(task, part.way, part.size, (part.seconds, part.limit))
    else:
        legs = tuple(leg for p in option.parts for leg in legs_of(task, p.way, p.size, (p.seconds, p.limit)))
    return Plan(prefill.ref, ref, legs, option.seconds, score)


def _alternatives(task: Task, chosen: Pair) -> list[Option]:
    """Every other candidate with the chosen partner, soonest first."""
    prefill, decode = chosen
    pairs: list[Pair] = [
        (p, decode) for p in _others(task.prefill, prefill, named=bool(task.request.prefill))
    ]
    pairs += [(prefill, d) for d in _others(task.decode, decode, named=bool(task.request.decode))]
    found = [single(task, pair, min(ways, key=by_seconds)) for pair in pairs if (ways := ways_of(task, pair))]
    found.sort(key=lambda option: option.seconds)
    return found


def _others(candidates: tuple[Known, ...], chosen: Known | None, *, named: bool) -> list[Known]:
    if named or len(candidates) <= UNNAMED_ALTERNATIVES + 1:
        return [k for k in candidates if k is not chosen]
    step = len(candidates) // (UNNAMED_ALTERNATIVES + 1)
    return [k for k in candidates[::step] if k is not chosen][:UNNAMED_ALTERNATIVES]
