"""The evidence of a choice, made only when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from trafficd.choice.account import Account
from trafficd.choice.compose import Option, Part, is_stale
from trafficd.choice.evidence import ExplainedPlan, ExplainedResource, Explanation
from trafficd.choice.request import Fallback, Side
from trafficd.choice.view import Task

MOST_EXPLAINED = 64
"""Plans explained in one answer; those after them have an empty note."""


def explanation_of(
    task: Task, names: tuple[str, str], options: Sequence[Option], fallback: Fallback | None
) -> Explanation:
    """Why the first option is the first. ``names`` are those of the strategy and its rule for engines."""
    plans = [
        ExplainedPlan(_note(options, i), tuple(_resources(task, option)))
        for i, option in enumerate(options[:MOST_EXPLAINED])
    ]
    plans += [ExplainedPlan("", ()) for _ in options[MOST_EXPLAINED:]]
    return Explanation(*names, _reason(names[0], options, fallback), tuple(plans))


def _reason(strategy: str, options: Sequence[Option], fallback: Fallback | None) -> str:
    best = options[0]
    said = f"{strategy} takes {_told(best)}: {best.seconds:.6f} s, limited by {_slowest(best).limit.name}"
    if len(options) > 1:
        rest = min(options[1:], key=lambda option: option.seconds)
        gain = rest.seconds - best.seconds
        if gain >= 0:
            said += f"; {gain:.6f} s sooner than {_told(rest)}"
        else:
            said += (
                f"; {_told(rest)} is reckoned {-gain:.6f} s sooner, which this strategy passes over "
                "for its turn, its share or what was lately placed there"
            )
    return f"{said}; measurements are missing or old" if is_stale(fallback) else said


def _note(options: Sequence[Option], i: int) -> str:
    option, best = options[i], options[0]
    if i == 0:
        return "the choice"
    ratio = option.seconds / best.seconds if best.seconds else 1.0
    return f"{ratio:.2f} times as long as the choice, limited by {_slowest(option).limit.name}"


def _told(option: Option) -> str:
    prefill, decode = option.pair
    ways = " and ".join(_way(part) for part in option.parts)
    return f"{prefill.ref}+{decode.ref if decode else 'any'} by {ways}"


def _way(part: Part) -> str:
    side = "prefill side" if part.way.side is Side.PREFILL else "decode side"
    return f"the {side} ({part.way.reader}{', relayed' if part.way.relay else ''})"


def _slowest(option: Option) -> Part:
    return max(option.parts, key=lambda part: part.limit.seconds)


def _resources(task: Task, option: Option) -> Iterator[ExplainedResource]:
    loaded: dict[Account, float] = {}
    for part in option.parts:
        for account, weight in part.way.loads:
            loaded[account] = loaded.get(account, 0.0) + weight * part.size
    rows = [row for i, part in enumerate(option.parts) for row in _part(task, i, part, loaded)]
    yield from sorted(rows, key=lambda row: -row.seconds)


def _part(task: Task, leg: int, part: Part, loaded: dict[Account, float]) -> Iterator[ExplainedResource]:
    view = task.view
    hops = _hops(task, part.way.nics[0])
    for account, weight in part.way.loads:
        i = view.index.nic_ids.get(account.nic)
        rate = (view.states[i].rate_bps / 8 if i is not None else account.offered) or account.available
        queue = account.outstanding(task.now)
        total = (queue + loaded[account]) / account.available
        ahead, own = queue / rate, loaded[account] / rate
        yield ExplainedResource(
            f"nic:{account.nic}",
            leg,
            total,
            ahead,
            total - ahead - own,
            own,
            weight,
            None if i is None else _age(task, i),
            account.learned,
            hops if i == part.way.nics[0] else 0,
        )
    if part.way.per_byte > 0:
        own = part.size * part.way.per_byte
        yield ExplainedResource(part.way.fixed, leg, own, 0.0, 0.0, own, 1.0, None, 1.0, 0)


def _age(task: Task, nic: int) -> float | None:
    until = task.view.fresh_until[nic]
    if math.isinf(until):
        return None
    return max(0.0, task.now - until + task.view.snapshot.valid_for_ms / 1000)


def _hops(task: Task, nic: int) -> int:
    """Switches between the nearest source and the reading NIC; 0 where the fabric does not say."""
    at, paths = task.view.index.attachment_of, task.view.index.paths
    found = []
    for _, _, servers in task.parts:
        for server in servers:
            if at[server] < 0 or at[nic] < 0:
                continue
            path = paths.get((at[server], at[nic]))
            if at[server] == at[nic]:
                found.append(1)
            elif path is not None:
                found.append(path.hops + 1)
    return min(found, default=0)
