"""What a port holds becomes a policy; that policy, rendered, holds the same where a policy can say it."""

import random

import pytest

from trafficd_topology.adopt_dcb import AdoptedPort, adopt_dcb
from trafficd_topology.diff import Element, State, render, state
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import (
    PRIORITIES,
    DcbApp,
    DcbBuffer,
    DcbCable,
    DcbCnp,
    DcbEcn,
    DcbEts,
    DcbFeatures,
    DcbMaxrate,
    DcbPfc,
    DcbTrust,
    Dcbx,
)
from trafficd_topology.qos.dcb_render import render_dcb
from trafficd_topology.qos.kinds import DCB_KINDS
from trafficd_topology.qos.policy import Policy, Preset
from trafficd_topology.qos.roce import whole_percents

RATE_BPS = 400_000_000_000
FEATURES = DcbFeatures(DCB_KINDS, 8, 8, 2 * 2**20, 128)


def policy_of(text: str) -> Policy:
    policies, problems = parse_policies(text)
    assert policies is not None, problems
    return policies.policies[0]


def rendered(policy: Policy) -> State:
    assert policy.roce is not None
    made = render_dcb(policy.lanes, policy.roce, RATE_BPS, FEATURES)
    assert not made.problems
    return made.elements


@pytest.mark.parametrize(
    "preset", [p.value for p in Preset if p not in (Preset.NONE, Preset.TWO_LANE_STRICT)]
)
def test_what_a_preset_programs_is_adopted_and_programs_the_same(preset: str) -> None:
    before = rendered(policy_of(f"version: 1\npolicies: [{{name: p, preset: {preset}}}]"))
    adopted = adopt_dcb("n1", "ens1", before, RATE_BPS)
    assert adopted.left == ("its receive buffers: a policy sizes them from cable and rate",)
    after = policy_of(adopted.text)
    assert after.selectors[0].nodes == ("n1",)
    assert render(rendered(after)) == render(before)


def test_a_strict_lane_without_a_ceiling_gets_one() -> None:
    before = rendered(policy_of("version: 1\npolicies: [{name: p, preset: two-lane-strict}]"))
    adopted = adopt_dcb("n1", "ens1", before, RATE_BPS)
    assert adopted.left[-1] == "traffic class 1 is strict without a ceiling: lane default is held to 10%"
    after = {e.name: e.value for e in rendered(policy_of(adopted.text))}
    differing = {e.name for e in before if after[e.name] != e.value}
    assert differing == {"maxrate"}


def factory() -> State:
    """A mlx5 port as `mlnx_qos --trust dscp --pfc 0,0,0,1,0,0,0,0` leaves it: eight TCs of the vendor's scheduling."""
    elements = [
        Element("ets", "", DcbEts((1, 0, 2, 3, 4, 5, 6, 7), ("vendor",) * 8, (0,) * 8)),
        Element("pfc", "", DcbPfc((3,))),
        Element("cable", "", DcbCable(7)),
        *(Element("dscp", str(d), DcbApp((d >> 3,))) for d in range(64)),
    ]
    return state(elements)


def test_a_port_as_it_is_found_in_the_field() -> None:
    adopted = adopt_dcb("n1", "ens1", factory(), RATE_BPS)
    assert adopted.left[0] == "firmware or an LLDP agent owns its DCBX: under the policy the host does"
    assert sum("is scheduled by vendor" in s for s in adopted.left) == 8
    policy = policy_of(adopted.text)
    assert policy.roce is not None
    assert (policy.roce.lossless, policy.roce.cable_length_m) == (("tc-3",), 7)
    assert {x.name for x in policy.lanes.lanes} == {
        "default",
        "control",
        *(f"tc-{n}" for n in (0, 2, 3, 4, 5, 7)),
    }
    made = {e.name: e.value for e in rendered(policy)}
    assert made["pfc"] == DcbPfc((3,))
    assert all(made[f"dscp/{d}"] == DcbApp((d >> 3,)) for d in range(64))


def test_what_a_policy_does_not_say_is_named() -> None:
    elements = state(
        [
            Element("dcbx", "", Dcbx()),
            Element("trust", "", DcbTrust(("pcp",))),
            Element(
                "ets",
                "",
                DcbEts((0, 0, 0, 0, 0, 0, 1, 1), ("ets", "strict", *["strict"] * 6), (100, *[0] * 7)),
            ),
            Element("pfc", "", DcbPfc((0, 5))),
            Element("app", "dgram-4791", DcbApp((3,))),
            Element("dscp", "7", DcbApp((1, 2))),
            *(Element("ecn", str(p), DcbEcn(notify=False, react=False)) for p in range(PRIORITIES)),
        ]
    )
    adopted = adopt_dcb("n1", "ens1", elements, RATE_BPS)
    assert adopted.left == (
        "entry dgram-4791 of the APP table (priority 3): a policy marks by DSCP alone",
        "DSCP 7 has priorities 1, 2: the policy takes the largest",
        "it trusts PCP: the policy marks by DSCP, each priority by its class selector (DSCP / 8)",
        "priorities 0, 1, 2, 3, 4, 5 share traffic class 0: lane default has one",
        "priorities 6, 7 share traffic class 1: lane control has one",
        "traffic class 1 is strict without a ceiling: lane control is held to 10%",
        "priority 0 is lossless and lane default carries unmarked or control traffic: the policy makes it lossy",
        "priorities 5 are lossless and no code point leads there: the policy makes them lossy",
    )
    assert policy_of(adopted.text).lanes.default.name == "default"


def test_a_port_without_ets_has_nothing_to_say() -> None:
    said = ("ens1 shows no ETS: there is nothing that a policy could say",)
    assert adopt_dcb("n1", "ens1", (), RATE_BPS) == AdoptedPort("", said)


@pytest.mark.parametrize("seed", range(150))
def test_whatever_a_port_holds_a_policy_or_a_sentence_comes_of_it(seed: int) -> None:
    rng = random.Random(seed)
    tsa = tuple(rng.choice(["ets", "ets", "strict", "vendor"]) for _ in range(8))
    parts = iter(whole_percents([rng.random() for t in tsa if t == "ets"]))
    elements = [
        Element(
            "ets",
            "",
            DcbEts(
                tuple(rng.randrange(8) for _ in range(8)),
                tsa,
                tuple(next(parts) if t == "ets" else 0 for t in tsa),
            ),
        ),
        Element("pfc", "", DcbPfc(tuple(sorted(rng.sample(range(8), rng.randint(0, 4)))))),
        Element("maxrate", "", DcbMaxrate(tuple(rng.choice([0, 0, 4 * 10**10, 10**12]) for _ in range(8)))),
        Element("buffer", "", DcbBuffer((0,) * 8, (1,) * 8)),
        Element("cnp", "", DcbCnp(rng.randrange(64), rng.randrange(8))),
        *(
            Element("dscp", str(d), DcbApp((rng.randrange(8),)))
            for d in rng.sample(range(64), rng.randint(0, 64))
        ),
        *(
            Element("ecn", str(p), DcbEcn(rng.random() < 0.5, rng.random() < 0.5))
            for p in rng.sample(range(8), rng.choice([0, 8]))
        ),
    ]
    adopted = adopt_dcb("n1", "ens1", state(elements), RATE_BPS)
    by_hand = [s for s in adopted.left if s.startswith("correct by hand")]
    policies, problems = parse_policies(adopted.text)
    assert len(problems) == len(by_hand)
    assert (policies is None) == bool(problems)
