"""Readers against a real kernel: a network namespace with a veth pair, a bridge and no hardware."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.kernel

INVENTORY = """
from pathlib import Path
from trafficd_agent.sysfs.inventory import read_inventory
for p in read_inventory(Path("/"), "n").ports:
    print(p.name, p.link_layer, p.up, p.pci, p.tx_queues)
"""
STATISTICS = """
from trafficd_agent.ethtool import KernelStatistics
for name, value in sorted(KernelStatistics().read("v0").items()):
    print(f"{name}: {value}")
"""
COUNTERS = """
from pathlib import Path
from trafficd_agent.readers import Collector, standard_readers
c = Collector(standard_readers(Path("/")))
c.refresh()
for column, value in zip(c.columns, c.collect().sample.values, strict=True):
    print(column.port, column.quantity, column.direction, value)
"""


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace with veths v0 and v1, a bridge with v1 in it, and some packets sent."""
    name = f"tfd{os.getpid()}readers"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=30)
    try:
        for line in (
            "link add v0 numtxqueues 3 type veth peer name v1 numtxqueues 1",
            "link add br0 type bridge",
            "link set v1 master br0",
            "addr add 198.51.100.1/24 dev v0",
            "link set v0 up",
            "link set v1 up",
            "link set br0 up",
        ):
            subprocess.run(["ip", "-n", name, *line.split()], check=True, timeout=30)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, timeout=30)


def inside(name: str, *command: str) -> str:
    """What a command prints in the namespace; /sys there is the namespace's own."""
    full = ["ip", "netns", "exec", name, *command]
    return subprocess.run(full, check=True, capture_output=True, text=True, timeout=60).stdout


def python(name: str, program: str) -> str:
    return inside(name, sys.executable, "-c", program)


def test_the_lower_ends_are_ports(namespace: str) -> None:
    assert python(namespace, INVENTORY) == "v0 ethernet True None 3\nv1 ethernet True None 1\n"


def test_statistics_are_those_that_ethtool_shows(namespace: str) -> None:
    shown = inside(namespace, "ethtool", "-S", "v0").splitlines()[1:]
    ours = python(namespace, STATISTICS).splitlines()
    assert [line.split(":")[0] for line in ours] == sorted(line.strip().split(":")[0] for line in shown)
    index = next(line for line in ours if line.startswith("peer_ifindex:"))
    assert index in [line.strip() for line in shown]


def test_an_interface_without_statistics_has_none(namespace: str) -> None:
    program = "from trafficd_agent.ethtool import KernelStatistics\nprint(KernelStatistics().read({!r}))"
    assert python(namespace, program.format("br0")) == "{}\n"
    assert python(namespace, program.format("gone")) == "{}\n"


def test_counters_rise_with_traffic(namespace: str) -> None:
    def sent() -> int:
        lines = (line.split() for line in python(namespace, COUNTERS).splitlines())
        return next(
            int(v) for port, quantity, way, v in lines if (port, quantity, way) == ("v0", "bytes", "transmit")
        )

    before = sent()
    subprocess.run(
        [
            "ip",
            "-n",
            namespace,
            "neigh",
            "replace",
            "198.51.100.2",
            "lladdr",
            "02:00:00:00:00:01",
            "dev",
            "v0",
        ],
        check=True,
    )
    send = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x' * 1000, ('198.51.100.2', 9))"
    python(namespace, send)
    assert sent() - before >= 1042
