"""Messages <-> values: what goes out comes back, and every word and element kind has its number."""

from pathlib import Path

import pytest

from trafficd.api.v1 import agent_pb2, qos_pb2
from trafficd.convert import agents, fabric, telemetry, words
from trafficd.core.effects import SendDesired
from trafficd.core.plan import plan
from trafficd_topology.counters import Column, CounterKind, Direction, Sample
from trafficd_topology.diff import FieldDifference
from trafficd_topology.model import (
    DriverOffer,
    FabricInventory,
    FabricSpec,
    Gpu,
    Host,
    Link,
    LinkLayer,
    Nic,
    NicKind,
    NodeInventory,
    PortInventory,
    PortKey,
    Problem,
    Role,
    ScopeKind,
    Switch,
)
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.dcb import DcbFeatures
from trafficd_topology.qos.kinds import KINDS, OBSERVED_ONLY, PUT_BACK_ONLY
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Condition, ConditionStatus, ConditionType, Generation, ScopeStatus

DCB = DcbFeatures(("ets", "pfc"), 8, 2, 262_144, 128, "mlx5_core")
OFFERS = (DriverOffer("tc", True), DriverOffer("fake", False, "no"), DriverOffer("dcb", True, "", DCB))
INVENTORY = NodeInventory(
    "n",
    (
        PortInventory("p", LinkLayer.ETHERNET),
        PortInventory("q", LinkLayer.INFINIBAND, 1, False, "a", "b", "c", 0, "s", 0, 0, OFFERS),
    ),
    (FabricInventory("f"), FabricInventory("g", 0, OFFERS)),
    (Gpu(0), Gpu(1, 0, "s")),
    5,
)
SPEC = FabricSpec(
    "f",
    (
        Host(
            "h",
            Role.STORAGE,
            (Nic("n", NicKind.STORAGE, LinkLayer.INFINIBAND, 7),),
            (Gpu(0, 0, "s"),),
            9,
            "pool",
        ),
        Host(
            "i",
            Role.OTHER,
            (Nic("n", NicKind.COMPUTE, LinkLayer.ETHERNET, 7, "a", "b", 0, "s", 0, 0, ("m",), "x"),),
        ),
    ),
    (Switch("s", True, LinkLayer.INFINIBAND),),
    (Link(PortKey("h", "n"), PortKey("s", "1"), 3), Link(PortKey("i", "n"), PortKey("s", "2"))),
)


def test_inventory_and_fabric_come_back() -> None:
    assert agents.inventory("n", agents.inventory_message(INVENTORY)) == INVENTORY
    assert fabric.fabric(fabric.fabric_message(SPEC)) == SPEC
    assert fabric.inventories(fabric.inventories_message((INVENTORY,))) == (INVENTORY,)


def test_status_comes_back() -> None:
    condition = Condition(ConditionType.DRIFTED, ConditionStatus.TRUE, "R", "m", 4, 5)
    status = ScopeStatus(
        ScopeKind.FABRIC,
        "f",
        "opensm",
        Mode.ENFORCE,
        Generation(2, 3),
        (condition,),
        (FieldDifference("a", "1", "2"),),
        ("u",),
        ("somebody",),
        1,
        2,
        "removed",
        0.5,
    )
    assert agents.scope_status(agents.scope_status_message(status)) == status


@pytest.mark.parametrize(
    ("kind", "enumeration"),
    [
        (Role, qos_pb2.Role),
        (NicKind, qos_pb2.NicKind),
        (LinkLayer, qos_pb2.LinkLayer),
        (Mode, qos_pb2.Mode),
        (ScopeKind, agent_pb2.ScopeKind),
        (ConditionType, qos_pb2.ConditionType),
        (ConditionStatus, qos_pb2.ConditionStatus),
    ],
)
def test_every_word_has_its_number(kind: type, enumeration: object) -> None:
    """And they are called alike: a new value on either side fails here."""
    named = {name.rpartition("_")[2].lower(): n for name, n in enumeration.items() if n}  # type: ignore[attr-defined]
    assert {w.value.lower(): words.number(w) for w in kind} == named
    assert [words.word(kind, words.number(w), None) for w in kind] == list(kind)
    assert words.word(kind, 0, "otherwise") == words.word(kind, 99, "otherwise") == "otherwise"


def test_every_element_kind_crosses_with_all_its_fields() -> None:
    for kind, (value_type, field) in KINDS.items():
        if field in (OBSERVED_ONLY, PUT_BACK_ONLY):
            continue
        target = getattr(qos_pb2.Element(), field)
        assert {d.name for d in target.DESCRIPTOR.fields} == set(value_type.__slots__), kind


def test_a_whole_desired_state() -> None:
    """Every element of a real plan arrives with its values."""
    data = Path(__file__).parents[2] / "scenarios" / "controller" / "data"
    spec, _ = parse_fabric((data / "lab.yaml").read_text())
    policies, _ = parse_policies((data / "main.yaml").read_text())
    assert spec is not None
    assert policies is not None
    port = PortInventory("s0", LinkLayer.ETHERNET, 100_000_000, offers=(DriverOffer("tc", True),))
    scopes = plan(policies.policies, spec, (NodeInventory("p1", (port,)),)).of("p1")
    effect = SendDesired(1, "p1", Generation(1, 2), "digest", scopes)
    sent = agents.desired_message(effect, "uuid").desired
    assert (sent.controller_uuid, sent.digest, sent.generation.number) == ("uuid", "digest", 2)
    for element, message in zip(scopes[0].elements, sent.scopes[0].elements, strict=True):
        value = getattr(message, KINDS[element.kind][1])
        assert {n: getattr(value, n) for n in element.value.__slots__} == {
            n: getattr(element.value, n) for n in element.value.__slots__
        }
    lanes = {(n.name, f"{n.guaranteed_ratio:g}", n.unmarked) for n in sent.scopes[0].lanes}
    assert lanes == {
        ("default", "0.1", True),
        ("control", "0.02", False),
        ("kv", "0.01", False),
        ("model", "0.87", False),
    }


def test_telemetry() -> None:
    message = agent_pb2.Column(
        port="p",
        quantity="bytes",
        direction=agent_pb2.DIRECTION_RECEIVE,
        kind=agent_pb2.COUNTER_KIND_SATURATE32,
        lane_id=0,
    )
    assert telemetry.column(message) == Column("p", "bytes", Direction.RECEIVE, CounterKind.SATURATE32, 0)
    unknown = agent_pb2.Column(port="p", quantity="x", kind=9, direction=9)
    assert telemetry.column(unknown) == Column("p", "x", None, CounterKind.GAUGE)
    sample = agent_pb2.Sample(
        measured_unix_ns=1, measured_monotonic_ns=2, values=range(10), missing=b"\x02\x01"
    )
    assert telemetry.sample(sample) == Sample(1, 2, (0, None, 2, 3, 4, 5, 6, 7, None, 9))
    for missing, values in ((b"", (5, 6)), (b"\x01" + b"\xff" * 99, (None, 6))):
        short = agent_pb2.Sample(values=(5, 6), missing=missing)
        assert telemetry.sample(short).values == values


def test_problem_comes_back() -> None:
    problem = Problem("a", "b", "c")
    assert words.problem(words.problem_message(problem)) == problem
