"""The running control loop when something fails that nobody foresaw: everything else goes on."""

import asyncio
from pathlib import Path

import pytest

from trafficd.app.control import ControlLoop
from trafficd.app.files import Content, offer_fabric, offer_policy
from trafficd.app.restore import restored
from trafficd.core.effects import Accepted, Blame, Declined, Effect
from trafficd.core.events import Event, RoleSet
from trafficd.core.plan import PlanOptions
from trafficd.store import Store
from trafficd_topology.model import Role

POLICY = b"version: 1\npolicies: [{name: main, preset: dualpath}]\n"
FABRIC = b"version: 1\nname: x\nhosts: [{name: p1, nics: [{name: s0, kind: storage, rate: 1G}]}]\n"


class Faulty(Store):
    """A state file that fails in no way it is known to, while told to."""

    fails = False

    def save(self, *given: object) -> None:
        if self.fails:
            raise LookupError("nobody foresaw this")
        super().save(*given)  # type: ignore[arg-type]


def test_an_offer_that_cannot_be_judged_is_turned_down_and_the_next_is_taken(tmp_path: Path) -> None:
    async def body() -> None:
        store = Faulty.open(tmp_path / "state.db")
        assert isinstance(store, Faulty)
        loop = ControlLoop(restored(store.load(), PlanOptions()), store, lambda _: None)
        running = asyncio.create_task(loop.run())
        offers: tuple[Event, ...] = (
            offer_policy("policy.yaml", Content(POLICY)),
            offer_fabric("fabric.yaml", Content(FABRIC)),
        )
        store.fails = True
        for offer in offers:
            refused = only(await loop.submit(offer))
            assert isinstance(refused, Declined)
            assert (
                refused.blame,
                "by a fault of this program (LookupError)" in refused.problems[0].reason,
            ) == (
                Blame.FAULT,
                True,
            )
        assert [r.source for r in loop.state.rejected] == ["policy.yaml", "fabric.yaml"]
        store.fails = False
        for offer in offers:
            assert isinstance(only(await loop.submit(offer)), Accepted)
        assert loop.state.rejected == ()
        store.fails = True
        with pytest.raises(LookupError):
            await loop.submit(RoleSet("p1", Role.DECODE))
        running.cancel()
        await asyncio.wait([running])
        store.close()

    asyncio.run(body())


def only(effects: tuple[Effect, ...]) -> Accepted | Declined:
    found = [e for e in effects if isinstance(e, Accepted | Declined)]
    assert len(found) == 1
    return found[0]
