"""What must hold for every row of the table, whatever a library is told."""

import json
from itertools import product

import pytest

from trafficd_topology.model import LinkLayer, Role
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.applications import APPLICATIONS
from trafficd_topology.qos.applications.render import Line, lines, settings_of
from trafficd_topology.qos.applications.words import Application, Form, Library, Setting, Takes
from trafficd_topology.qos.lanes import LaneSet, TrafficClass
from trafficd_topology.qos.policy import Preset


def preset(name: Preset) -> LaneSet:
    policies, _ = parse_policies(f"version: 1\npolicies: [{{name: p, preset: {name}}}]")
    assert policies is not None
    return policies.policies[0].lanes


PRESETS = {p: preset(p) for p in Preset if p is not Preset.NONE}
ASKED = [
    pytest.param(app, layer, lanes, c, id=f"{app.library}-{layer}-{name}-{c.name}")
    for app, layer, (name, lanes) in product(APPLICATIONS, LinkLayer, PRESETS.items())
    for c in lanes.classes
]


def told(app: Application, layer: LinkLayer, lanes: LaneSet, c: TrafficClass) -> tuple[Line, ...]:
    return tuple(line for role in Role for line in lines(settings_of(app, c), lanes, c, layer, role))


def test_every_library_has_a_row_and_every_row_a_source() -> None:
    assert [a.library for a in APPLICATIONS] == list(Library)
    for app in APPLICATIONS:
        assert app.flows
        assert all(row.source for row in (*app.flows, *app.settings, *app.cautions))
        assert any("INIT to RTR" in c.text for c in app.cautions)


@pytest.mark.parametrize(("app", "layer", "lanes", "c"), ASKED)
def test_every_class_with_a_marking_is_told_its_own_number(
    app: Application, layer: LinkLayer, lanes: LaneSet, c: TrafficClass
) -> None:
    """SL on InfiniBand and the ToS byte on Ethernet, never one for the other; nothing where the class has none."""
    number = c.marking.sl[:1] if layer is LinkLayer.INFINIBAND else tuple(d << 2 for d in c.marking.dscp[:1])
    values = {line.value for line in told(app, layer, lanes, c) if line.form is not Form.UNSET}
    plain = {v for v in values if v not in ("", "true") and not v.startswith("{")}
    assert plain == {str(n) for n in number}


@pytest.mark.parametrize("app", APPLICATIONS, ids=lambda a: a.library)
def test_no_variable_is_both_set_and_unset_on_one_link_layer(app: Application) -> None:
    for layer in LinkLayer:
        here = [s for s in app.settings if layer in s.layers]
        unset = {s.name for s in here if s.form is Form.UNSET}
        assert not unset & {s.name for s in here if s.form is Form.ENV}


def pools(setting: Setting) -> bool:
    return setting.takes is Takes.POOLS


@pytest.mark.parametrize(("layer", "name"), list(product(LinkLayer, PRESETS)))
def test_every_tent_policy_names_a_pool_and_peers_have_one_layout(layer: LinkLayer, name: Preset) -> None:
    lanes = PRESETS[name]
    app = next(a for a in APPLICATIONS if a.library is Library.MOONCAKE)
    layouts = set()
    for c in lanes.classes:
        for line in lines(filter(pools, app.settings), lanes, c, layer, Role.PREFILL):
            tent = json.loads(line.value)
            endpoint = tent["transports"]["rdma"]["endpoint"]
            known = [p["name"] for p in endpoint["qp_pools"]]
            assert len(known) == len(set(known))
            assert {p["qp_pool"] for p in tent["policy"]} <= set(known)
            assert "intent_type" not in tent["policy"][-1]
            assert not any({"service_level", "traffic_class"} & set(p) for p in tent["policy"])
            if c.name.startswith("kv"):
                layouts.add(json.dumps(endpoint["qp_pools"]))
    assert len(layouts) == 1
