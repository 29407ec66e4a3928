"""Several devices as one: what the members of a bond hold, and which of them a change is for. Pure.

The bond holds what its first member holds. Where another member differs, an element of that member's own says so, named
``<key>@<member>``; nobody desires such an element, so it is drift, and its removal makes the member like the first. What was
found is put back in the same terms, each member its own. A member that lacks an entry has it with no priorities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trafficd_topology.diff import Change, Element, Op, State, state
from trafficd_topology.qos.dcb import DcbApp

AT = "@"
ABSENT = DcbApp(())
Values = Mapping[tuple[str, str], Any]


def values(elements: State) -> Values:
    return {(e.kind, e.key): e.value for e in elements}


def merged(members: Mapping[str, State]) -> State:
    """One state of several devices; the first is the pattern. The host owns DCBX where it does on all."""
    first, *others = ((name, values(held)) for name, held in members.items())
    pattern = dict(first[1])
    if any(("dcbx", "") not in held for _, held in others):
        pattern.pop(("dcbx", ""), None)
    found = [Element(kind, key, value) for (kind, key), value in pattern.items()]
    for name, held in others:
        found += _own(name, pattern, held)
    return state(found)


def _own(name: str, pattern: Values, held: Values) -> Iterator[Element]:
    for kind, key in {**pattern, **held}:
        if kind == "dcbx":
            continue
        mine, other = held.get((kind, key)), pattern.get((kind, key))
        if mine != other:
            yield Element(kind, f"{key}{AT}{name}", ABSENT if mine is None else mine)


def parts(change: Change, members: Mapping[str, State]) -> Iterator[tuple[str, Change]]:
    """The changes of single devices that a change of the bond comes to, in the order of the members."""
    held = {name: values(found) for name, found in members.items()}
    key, at, member = change.key.partition(AT)
    place = change.kind, key
    if not at:
        for name, has in held.items():
            mine = has.get(place)
            if change.kind == "dcbx" or mine == change.old:
                yield from ((name, c) for c in _to(place, mine, change.new))
    elif member in held:
        pattern = next(iter(held.values())).get(place)
        want = pattern if change.op is Op.REMOVE else change.new
        yield from ((member, c) for c in _to(place, held[member].get(place), want))


def _to(place: tuple[str, str], have: Any, want: Any) -> Iterator[Change]:
    want = None if want == ABSENT else want
    if have == want:
        return
    op = Op.ADD if have is None else Op.REMOVE if want is None else Op.CHANGE
    yield Change(op, *place, have, want)
