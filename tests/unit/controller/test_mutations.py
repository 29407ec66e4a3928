"""A thousand seeded mutations of a valid policy and a valid fabric: always a clear answer, and the old stays in force
unless the new one is good."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from trafficd.app.files import Content, offer_fabric, offer_policy
from trafficd.core.effects import Accepted, Declined
from trafficd.core.loop import step
from trafficd.core.state import ControlState
from trafficd_topology.status import Generation

DATA = Path(__file__).parents[2] / "scenarios" / "controller" / "data"
POLICY = b"""version: 1
policies:
  - name: main
    mode: enforce
    preset: none
    selectors: [{nodes: ["p*"], kinds: [storage]}]
    lanes:
      - {name: default, id: 0, use: default, priority: 2, share: 10%}
      - {name: control, id: 1, use: control, priority: 0, share: 2%, limit: 10%}
      - {name: kv, id: 2, priority: 3, share: 1%}
      - {name: model, id: 3, priority: 1, share: 87%}
    classes:
      - {name: default, lane: default, intents: [default], markings: {dscp: [0], sl: [0]}}
      - {name: control, lane: control, intents: [control], markings: {dscp: [48], sl: [1]}}
      - {name: kv, lane: kv, intents: [kv-read], markings: {dscp: [32], sl: [2]}}
      - {name: collectives, lane: model, intents: [model], markings: {dscp: [24], sl: [3]}}
"""
FABRIC = (DATA / "lab.yaml").read_bytes()
PIECES = (
    b"NaN",
    b"-1",
    b"0",
    b"1e999",
    b"[",
    b"}",
    b"\x00",
    b"\xff",
    b"&a",
    b"*a",
    b": ",
    b"\n",
    b"null",
    b"'",
    b"~",
    b"9" * 30,
)
OFFERS = {"policy": (POLICY, offer_policy), "fabric": (FABRIC, offer_fabric)}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Up to four edits: cut, double, swap, overwrite, insert."""
    for _ in range(chance.randint(1, 4)):
        i, j = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        j = min(j, i + 40)
        match chance.randrange(5):
            case 0:
                data = data[:i] + data[j:]
            case 1:
                data = data[:j] + data[i:j] + data[j:]
            case 2:
                data = data[:i] + data[i:j][::-1] + data[j:]
            case 3:
                data = data[:i] + bytes([chance.randrange(256)]) + data[i + 1 :]
            case _:
                data = data[:i] + chance.choice(PIECES) + data[i:]
        data = data or b" "
    return data


def standing() -> ControlState:
    state = ControlState("uuid", Generation(1, 0))
    for event in (offer_fabric("fabric", Content(FABRIC)), offer_policy("policy", Content(POLICY))):
        state, effects = step(state, event, 0.0)
        assert any(isinstance(e, Accepted) for e in effects)
    return state


@pytest.mark.parametrize("kind", ["policy", "fabric"])
def test_mutations(kind: str) -> None:
    data, offer = OFFERS[kind]
    before = standing()
    declined = 0
    for seed in range(500):
        content = Content(mutated(data, random.Random(seed)))
        after, effects = step(before, offer(kind, content), 0.0)
        answers = [e for e in effects if isinstance(e, Accepted | Declined)]
        assert len(answers) == 1, seed
        if isinstance(answers[0], Accepted):
            continue
        declined += 1
        assert answers[0].problems, seed
        for problem in answers[0].problems:
            assert problem.reason, seed
            assert "\n" not in str(problem), seed
        assert (after.policies, after.fabric, after.plan) == (before.policies, before.fabric, before.plan), (
            seed
        )
        assert [r.source for r in after.rejected] == [kind], seed
    assert declined > 250, "the mutations have become harmless"
