"""Engines by the headroom of their NICs: who would be done soonest with its part of the read.

An engine takes as long as the slowest of: its node's storage NIC with the part of the read that its side is expected
to read, its GPU's own compute NIC with all that passes it (see ``ways``), and its GPU with the tokens it has to process.
What was lately placed on a storage NIC counts besides its queue (``Account.placed``): that is a rotation by bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from trafficd.choice.compose import Pair
from trafficd.choice.ranking import Judged, Ranking
from trafficd.choice.request import Side
from trafficd.choice.roster import Known
from trafficd.choice.sides import side_capacity
from trafficd.choice.snapshot import Role
from trafficd.choice.spread import fraction, near_ties
from trafficd.choice.view import Task
from trafficd.choice.ways import readers_of

SCAN = 64
"""Candidates up to this many are all judged, named ones always."""
REST = 0.1
"""What the resources that are not the slowest count for: near-ties go to the engine with the least load in all."""
DECODE_COPIES = 2.0
"""Bytes that pass a decode GPU's NIC per byte read, its load from the buffer included."""
SEQUENCE_S = 0.0005
"""What a sequence that an engine runs counts for, seconds."""
MEMORY = 0.15
"""What a byte lately placed counts for, against one in the queue."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a read passes an engine: of its node's storage NIC, and of its own NIC, per byte read.

    ``busy`` is what each lease under way holds its GPU for; ``queued`` that its NIC serves several at a time;
    ``hidden`` is how long copies take beside computation.
    """

    stored: float
    copied: float
    busy: float
    queued: bool
    hidden: float


@dataclass(frozen=True, slots=True)
class Headroom:
    """Soonest done, by NICs and GPU."""

    name: str = "headroom"
    memory: float = MEMORY

    def pick(self, task: Task) -> Pair | None:
        prefill = self._best(task, task.prefill, Role.PREFILL)
        if prefill is None:
            return None
        return prefill, self._best(task, task.decode, Role.DECODE)

    def _best(self, task: Task, candidates: tuple[Known, ...], role: Role) -> Known | None:
        if len(candidates) <= 1:
            return candidates[0] if candidates else None
        part = _prefill_part(task) if role is Role.PREFILL else _decode_part(task)
        named = task.request.prefill if role is Role.PREFILL else task.request.decode
        if named or len(candidates) <= SCAN:
            groups: dict[str, list[Known]] = {}
            for known in candidates:
                groups.setdefault(known.ref.node, []).append(known)
            found: list[Judged] = []
            for group in groups.values():
                stored = self._stored(task, group, part.stored)
                if stored is not None:
                    found += _judged(task, group, part, stored)
            best = _pick(task, found, role)
        else:
            best = self._ranked(task, candidates, role, part)
        return candidates[0] if best is None else best[3]

    def _ranked(self, task: Task, candidates: tuple[Known, ...], role: Role, part: _Part) -> Judged | None:
        ranking = task.view.rankings.get(role)
        if ranking is None:
            ranking = task.view.rankings[role] = Ranking(candidates)
        copied = max(0.0, task.size * part.copied / task.view.fastest - part.hidden)

        def rough(group: Sequence[Known]) -> float | None:
            stored = self._stored(task, group, part.stored)
            return None if stored is None else stored * (1 + REST) + copied

        def judge(group: Sequence[Known]) -> Judged | None:
            stored = self._stored(task, group, part.stored)
            return None if stored is None else min(_judged(task, group, part, stored), default=None)

        return ranking.best(rough, judge, task.now)

    def _stored(self, task: Task, group: Sequence[Known], part: float) -> float | None:
        """Seconds on the node's storage NIC; 0 where this side reads nothing, None where it must and cannot."""
        if not part:
            return 0.0
        readers = readers_of(task, task.view.index.node_ids[group[0].ref.node])
        if not readers:
            return None
        now, size, best = task.now, task.size * part, inf
        for reader in readers:
            account = reader.account
            ahead = account.outstanding(now) + self.memory * account.placed(now)
            best = min(best, (ahead + size) / account.available)
        return best


def _judged(task: Task, group: Sequence[Known], part: _Part, stored: float) -> list[Judged]:
    """What each engine of one node would take; those that cannot serve are left out."""
    found: list[Judged] = []
    size, copied = task.size, 0.0
    for known in group:
        engine = known.engine
        if part.copied:
            seconds = _copied(task, known, part)
            if seconds is None:
                continue
            copied = seconds
        if engine.free_hbm_bytes is not None and engine.free_hbm_bytes < size:
            continue
        # A little for what it runs by its own word, so that engines alike in all else share it evenly.
        busy = part.busy * known.live + SEQUENCE_S * ((engine.unfinished_sequences or 0) + known.assigned)
        value = (max(busy, stored)) + copied + REST * (stored + busy)
        found.append((value, known.given, known.ref, known))
    return found


def _pick(task: Task, found: list[Judged], role: Role) -> Judged | None:
    """The best; near-ties by the hash where nothing is reserved, so that callers do not all take the same."""
    if not found:
        return None
    if task.request.reserve_s > 0:
        return min(found)
    near = near_ties([judged[0] for judged in found])
    return found[near[int(fraction(task.key, role) * len(near))]]


def prefill_share(task: Task) -> float:
    """The part of reads that prefill nodes take where both sides may: that of the rates."""
    abilities = task.request.abilities
    if abilities.no_prefill_side:
        return 0.0
    if not abilities.read_on_decode_side or not task.decode:
        return 1.0
    prefill, decode = side_capacity(task.view, Side.PREFILL), side_capacity(task.view, Side.DECODE)
    return prefill / ((prefill + decode) or 1.0)


def _prefill_part(task: Task) -> _Part:
    share = prefill_share(task)
    through = task.view.settings.through_compute_nics
    copied = 2.0 * share + (1 - share) if through else 1 - share
    return _Part(share, copied, task.view.feedback.serving_s, queued=not through, hidden=_hidden(task))


def _decode_part(task: Task) -> _Part:
    share = prefill_share(task)
    through = task.view.settings.through_compute_nics
    return _Part(1 - share, DECODE_COPIES if through else 1 - share, 0.0, queued=True, hidden=_hidden(task))


def _hidden(task: Task) -> float:
    return task.view.feedback.computing_s if task.view.settings.through_compute_nics else 0.0


def _copied(task: Task, known: Known, part: _Part) -> float | None:
    """Seconds on its own NIC; a GPU that serves one read after the other has no queue there but its own."""
    nic = task.view.own_nic(known)
    if nic is None:
        return None
    account = task.view.accounts[nic]
    size = task.size * part.copied
    if part.queued:
        size += account.outstanding(task.now)
    seconds = size / account.available - part.hidden
    return seconds if seconds > 0 else 0.0
