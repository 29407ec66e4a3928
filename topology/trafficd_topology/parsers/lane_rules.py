"""What the lanes and classes of a policy must be together. Each rule names every breach, with its place.

Rules that speak of shares are asked only when every lane could be read, so that one slip makes one problem.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from trafficd_topology.model import Problem
from trafficd_topology.parsers.lanes import Placed
from trafficd_topology.qos.lanes import MAX_LANES, Lane, LaneSet, LaneUse, TrafficClass
from trafficd_topology.qos.shares import MIN_SHARE, compile_ib_shares, exact, guarantees, starved
from trafficd_topology.qos.vlarb import IbTables

Lanes = Sequence[Placed[Lane]]
Classes = Sequence[Placed[TrafficClass]]
CONTROL_CLASS = "control"


def _twice(items: Iterable[tuple[str, str]], what: str) -> Iterator[Problem]:
    """(path, value) pairs of which each value may stand once."""
    seen: dict[str, str] = {}
    for path, value in items:
        if value in seen:
            yield Problem(path, value, f"this {what} is already taken at {seen[value]}")
        elif value:
            seen[value] = path


def lane_names(lanes: Lanes) -> Iterator[Problem]:
    yield from _twice(((f"{x.path}.name", x.value.name) for x in lanes), "lane name")
    yield from _twice(((f"{x.path}.id", str(x.value.id)) for x in lanes), "lane id")
    for lane in lanes:
        if lane.value.id >= MAX_LANES and len(lanes) <= MAX_LANES:
            yield Problem(f"{lane.path}.id", str(lane.value.id), f"lane ids go from 0 to {MAX_LANES - 1}")


def class_names(classes: Classes, lanes: Lanes) -> Iterator[Problem]:
    """Names and intents are unique, and every class runs in a lane of the policy."""
    yield from _twice(((f"{x.path}.name", x.value.name) for x in classes), "class name")
    yield from _twice(((f"{c.path}.intents", i) for c in classes for i in c.value.intents), "intent")
    known = [x.value.name for x in lanes]
    for c in classes:
        if c.value.lane and c.value.lane not in known:
            yield Problem(
                f"{c.path}.lane", c.value.lane, f"no such lane: the policy has {', '.join(known) or 'none'}"
            )


def uses(lanes: Lanes, classes: Classes, path: str) -> Iterator[Problem]:
    """One default lane, at most one control lane, and something that carries control traffic."""
    count = Counter(x.value.use for x in lanes)
    if count[LaneUse.DEFAULT] != 1:
        reason = "give exactly one lane use: default, for packets that nobody marked"
        yield Problem(f"{path}.lanes", f"{count[LaneUse.DEFAULT]} default lanes", reason)
    if count[LaneUse.CONTROL] > 1:
        yield Problem(
            f"{path}.lanes", f"{count[LaneUse.CONTROL]} control lanes", "at most one lane has use: control"
        )
    control = {x.value.name for x in lanes if x.value.use is LaneUse.CONTROL}
    carried = any(c.value.name == CONTROL_CLASS or c.value.lane in control for c in classes)
    if not carried:
        reason = "no class is for control traffic: name one control, or put one in the lane with use: control"
        yield Problem(f"{path}.classes", "", reason)
    reached = {c.value.lane for c in classes}
    for lane in lanes:
        if lane.value.use is LaneUse.CLASS and lane.value.name and lane.value.name not in reached:
            yield Problem(
                lane.path, lane.value.name, "no class runs in this lane: remove it, or name it in a class"
            )


def marks(classes: Classes, lanes: Lanes) -> Iterator[Problem]:
    """Each code point and service level means one class; those of unmarked packets belong to the default lane."""
    for word, name in (("dscp", "DSCP"), ("sl", "SL")):
        values = [
            (f"{c.path}.markings.{word}", str(v)) for c in classes for v in getattr(c.value.marking, word)
        ]
        yield from _twice(values, name)
        default = {x.value.name for x in lanes if x.value.use is LaneUse.DEFAULT}
        for c in classes:
            if 0 in getattr(c.value.marking, word) and c.value.lane not in default:
                reason = f"{name} 0 is what packets carry that nobody marked: only a class of the default lane may claim it"
                yield Problem(f"{c.path}.markings.{word}", "0", reason)


def strictness(lanes: Lanes) -> Iterator[Problem]:
    """Strict lanes come before all others, in an order of their own."""
    strict = [x for x in lanes if x.value.strict]
    first = min((x.value.priority for x in lanes if not x.value.strict), default=MAX_LANES)
    for lane in strict:
        if lane.value.share:
            reason = "a strict lane takes up to its limit: say strict or share, not both"
            yield Problem(f"{lane.path}.share", f"{lane.value.share:g}", reason)
        if lane.value.priority >= first:
            reason = f"a strict lane is served first: its priority must be below that of every lane with a share ({first})"
            yield Problem(f"{lane.path}.priority", str(lane.value.priority), reason)
    yield from _twice(
        ((f"{x.path}.priority", str(x.value.priority)) for x in strict), "priority of a strict lane"
    )


def shares(lanes: Lanes, path: str) -> Iterator[Problem]:
    """Shares add up, each stands below its lane's limit, and a lane with a limit has a priority of its own."""
    total = sum((exact(x.value.share) for x in lanes), Fraction(0))
    if total > 1:
        yield Problem(
            f"{path}.lanes", f"{float(total):.4%}", "shares add up to more than 100 %: make them smaller"
        )
    crowd = Counter(x.value.priority for x in lanes)
    for lane in lanes:
        share, limit = lane.value.share, lane.value.limit
        if limit < 1 and crowd[lane.value.priority] > 1:
            # htb: a lane that waits for its ceiling loses its turn, and the others take what was to be its part.
            reason = "lanes of one priority split what is left over, and a limit upsets the split: give it a priority of its own"
            yield Problem(f"{lane.path}.limit", f"{limit:g}", reason)
        if not limit:
            yield Problem(f"{lane.path}.limit", "0", "a lane that may use nothing: give it a limit above 0")
        elif share > limit:
            yield Problem(f"{lane.path}.limit", f"{limit:g}", f"the limit is below the share {share:g}")
        if 0 < share < MIN_SHARE:
            reason = f"too small to keep: at least {MIN_SHARE:.1%}, or 0 with may_starve: true"
            yield Problem(f"{lane.path}.share", f"{share:g}", reason)


def _vital(lanes: Lanes, classes: Classes) -> frozenset[str]:
    """Lanes that carry unmarked or control traffic."""
    carriers = {c.value.lane for c in classes if c.value.name == CONTROL_CLASS}
    return frozenset(carriers | {x.value.name for x in lanes if x.value.use is not LaneUse.CLASS})


def _hunger(lane: Lane, vital: frozenset[str], cause: str) -> str:
    """What is wrong with guaranteeing this lane nothing; empty when it is allowed to starve."""
    if lane.name in vital:
        return f"lane {lane.name} carries unmarked or control traffic and is guaranteed nothing ({cause}): give it more"
    if lane.may_starve:
        return ""
    return f"lane {lane.name} is guaranteed nothing ({cause}): give it more, or say may_starve: true"


def starvation(lanes: Lanes, classes: Classes) -> Iterator[Problem]:
    """No lane starves unless the operator said so; those of unmarked and control traffic never do."""
    vital = _vital(lanes, classes)
    for lane, part in zip(lanes, guarantees([x.value for x in lanes]), strict=True):
        cause = "strict lanes may take the whole port" if lane.value.share else "its share is 0"
        if not part and (reason := _hunger(lane.value, vital, cause)):
            yield Problem(f"{lane.path}.share", f"{lane.value.share:g}", reason)


def _waiting(lanes: Lanes, classes: Classes) -> frozenset[str]:
    """The default lane, where explicit tables may let it wait: it carries no control traffic and may starve."""
    control = {c.value.lane for c in classes if c.value.name == CONTROL_CLASS}
    allowed = (x.value for x in lanes if x.value.use is LaneUse.DEFAULT and x.value.may_starve)
    return frozenset(lane.name for lane in allowed if lane.name not in control)


def ib_tables(lanes: Lanes, classes: Classes, tables: Placed[IbTables]) -> Iterator[Problem]:
    """Every lane has a VL in operation and a turn in some table, and none starves unless the operator said so.

    Explicit tables are the operator's word twice: with ``may_starve`` they may starve unmarked traffic too.
    """
    vital = _vital(lanes, classes) - _waiting(lanes, classes)
    hungry = starved(compile_ib_shares(_set(lanes, classes), tables.value))
    for lane in lanes:
        vl, name = lane.value.id, lane.value.name
        if vl >= tables.value.max_vls:
            reason = (
                f"lane {name} is VL {vl}: with this many VLs there are only 0 to {tables.value.max_vls - 1}"
            )
            yield Problem(f"{tables.path}.max_vls", str(tables.value.max_vls), reason)
        elif vl not in tables.value.served:
            reason = f"VL {vl} of lane {name} has a weight in neither table: it would never be served"
            yield Problem(tables.path, "", reason)
        elif name in hungry and (
            reason := _hunger(lane.value, vital, "by these tables, when others are busy")
        ):
            yield Problem(tables.path, "", reason)


def _set(lanes: Lanes, classes: Classes) -> LaneSet:
    return LaneSet(tuple(x.value for x in lanes), tuple(c.value for c in classes))


def judge(lanes: Lanes, classes: Classes, tables: Placed[IbTables] | None, path: str) -> tuple[Problem, ...]:
    """Every breach of every rule, by a policy whose items could all be read."""
    if not 1 <= len(lanes) <= MAX_LANES:
        return (Problem(f"{path}.lanes", str(len(lanes)), f"a policy has from 1 to {MAX_LANES} lanes"),)
    found = [*names(lanes, classes, path), *strictness(lanes), *shares(lanes, path)]
    if not found:
        found += starvation(lanes, classes)
        found += ib_tables(lanes, classes, tables) if tables else ()
    return tuple(found)


def names(lanes: Lanes, classes: Classes, path: str) -> Iterator[Problem]:
    """Every rule that does not speak of shares."""
    yield from lane_names(lanes)
    yield from class_names(classes, lanes)
    yield from uses(lanes, classes, path)
    yield from marks(classes, lanes)
