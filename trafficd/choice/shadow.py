"""A scheduler's own choice, reckoned like ours: what it would take, and why that cannot be told if so."""

from __future__ import annotations

from trafficd.choice.request import Plan, reservation_of
from trafficd.choice.view import View


def seconds_of(view: View, plan: Plan, now: float) -> tuple[float, str]:
    """(predicted seconds of the slowest NIC with all legs of the plan, why there is none)."""
    loads = reservation_of(plan, "", 0.0).legs
    if not loads:
        return 0.0, "the scheduler's own choice names no NIC: give the legs with the NICs they pass"
    slowest = 0.0
    for name, size in loads:
        i = view.index.nic_ids.get(name)
        if i is None:
            return 0.0, f"the scheduler's own choice names {name}, which the fabric does not have"
        if not view.states[i].up:
            return 0.0, f"the scheduler's own choice passes {name}, which is down"
        account = view.accounts[i]
        slowest = max(slowest, (account.outstanding(now) + size) / account.available)
    return slowest, ""
