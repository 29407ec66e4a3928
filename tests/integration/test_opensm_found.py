"""A live subnet in the words of the topology: equal to what ibnetdiscover tells, and held against a fabric file."""

import json
from collections.abc import Iterator

import pytest
from demo.infiniband import fabric_file
from lab.ibbench import FOUR_VLS, helper_env
from lab.ibsim import FatTree, IbLab, ib_lab

from trafficd.core.found import found_notes
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_topology.model import NodeInventory
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.subnet_files import parse_subnets
from trafficd_topology.subnet import NodeKind, Subnet

pytestmark = pytest.mark.ib
TREE = FatTree(spines=3, leaves=4, hcas_per_leaf=3)


@pytest.fixture
def lab() -> Iterator[IbLab]:
    with ib_lab(FOUR_VLS, TREE) as made:
        yield made


@pytest.fixture
def driver(lab: IbLab) -> Iterator[OpensmDriver]:
    made = OpensmDriver(OpensmOptions("ib", str(lab.conf), helper_env=helper_env(lab, "Hca2")))
    yield made
    made.close()


def found(driver: OpensmDriver) -> Subnet:
    (offered,) = driver.fabrics()
    (subnet,) = parse_subnets(offered.dump)
    return subnet


def test_what_is_found_is_what_ibnetdiscover_finds(lab: IbLab, driver: OpensmDriver) -> None:
    ours = found(driver)
    (theirs,) = parse_subnets(lab.run("Hca3", "ibnetdiscover"))
    assert (ours.nodes, ours.ports, ours.links) == (theirs.nodes, theirs.ports, theirs.links)
    assert ours.notes == ()
    assert len(ours.links) == TREE.ports // 2
    assert [n.kind for n in ours.nodes].count(NodeKind.SWITCH) == 7


def test_the_offer_says_what_ports_can_hold(driver: OpensmDriver) -> None:
    (offered,) = driver.fabrics()
    assert [(t.type, t.ports, t.vls, t.operational_vls, t.high_entries) for t in offered.port_types] == [
        ("ca", 12, 8, 4, 8),
        ("swe", 36, 8, 4, 8),
    ]
    assert {s.name for s in offered.settings} >= {"max_op_vls"}


def with_guids(text: str, subnet: Subnet) -> str:
    """The file as an operator has it: each NIC with the GUID of its port."""
    guids = [p.port_guid for p in subnet.ports if p.port_guid is not None]
    document = json.loads(text)
    hosts = {h["name"]: h for h in document["hosts"]}
    named = {n.name: n.guid for n in subnet.nodes}
    for i in range(1, TREE.hcas + 1):
        guid = next(g for g in guids if g - named[f"Hca{i}"] == 1)
        nic = dict(hosts[f"n{i}"]["nics"][0], guid=f"0x{guid:016x}")
        hosts[f"n{i}"]["nics"] = [nic]
    return json.dumps(document)


def notes(text: str, driver: OpensmDriver) -> tuple[str, ...]:
    fabric, problems = parse_fabric(text)
    assert fabric is not None, problems
    return found_notes(fabric, (NodeInventory("n2", fabrics=tuple(driver.fabrics())),))


def test_a_cable_that_is_not_where_the_file_says_is_told(driver: OpensmDriver) -> None:
    text = fabric_file(TREE)
    (nothing,) = notes(text, driver)
    assert nothing.startswith("none of the fabric file's InfiniBand NICs is in a subnet that was found")
    right = with_guids(text, found(driver))
    assert notes(right, driver) == ()
    told = notes(right.replace('["n4/hca", "leaf2/1"]', '["n4/hca", "leaf3/7"]'), driver)
    assert told
    assert all("n4/hca" in note for note in told), told
