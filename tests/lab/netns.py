"""Network namespaces with rate-limited wires: hosts and managed bridges on one Linux machine.

Every cable is two veth pairs that meet in the namespace ``<prefix>wires``; there each direction is a tbf rate
limiter over a FIFO of 1,000 packets, so that a node's lanes and the wire are different queues, as on a real
cable. A switch is a namespace with a bridge; its ports are named after what they lead to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

WIRE_FIFO_PACKETS = 1000


class LabError(Exception):
    """The namespaces cannot be made; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Cable:
    """One cable: port ``name`` of a host, with an address, into port ``host`` of a switch."""

    host: str
    name: str
    switch: str
    address: str
    rate_bps: int


@dataclass(slots=True)
class Lab:
    """Namespaces made so far; names inside the lab have no prefix, the kernel's have."""

    prefix: str
    nodes: list[str] = field(default_factory=list)

    def ns(self, node: str) -> str:
        return f"{self.prefix}{node}"

    def run(self, node: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside a node to its end."""
        full = ["ip", "netns", "exec", self.ns(node), *command]
        return subprocess.run(full, check=check, capture_output=True, text=True, timeout=60)

    def start(self, node: str, command: Sequence[str], **kwargs: object) -> subprocess.Popen[str]:
        """Start a program inside a node; whoever starts it ends it."""
        full = ["ip", "netns", "exec", self.ns(node), *command]
        return subprocess.Popen(full, text=True, **kwargs)  # type: ignore[call-overload,no-any-return]


def _batch(lines: Sequence[str], *prefix: str) -> None:
    done = subprocess.run(
        [*prefix, "-batch", "-"], check=False, input="\n".join(lines) + "\n", text=True, capture_output=True
    )
    if done.returncode:
        raise LabError(f"{' '.join(prefix)} failed: {done.stderr.strip().splitlines()[0]}")


def _offloads_off(lab: Lab, node: str, device: str) -> None:
    """One packet at a time: the kernel's TCP builds super-packets even with GSO off, until told the size of one."""
    _batch([f"link set dev {device} gso_max_segs 1"], "ip", "-n", lab.ns(node))
    lab.run(node, "ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off", "tx", "off")


def _plug(lab: Lab, cable: Cable) -> None:
    """Both ends of a cable through the wires' namespace, and its limiter in both directions."""
    wires, near, far = lab.ns("wires"), f"{cable.host}{cable.name}", f"{cable.host}{cable.name}x"
    switch_port = cable.host
    _batch(
        [
            f"link add {near} netns {wires} type veth peer name {cable.name} netns {lab.ns(cable.host)}",
            f"link add {far} netns {wires} type veth peer name {switch_port} netns {lab.ns(cable.switch)}",
        ],
        "ip",
    )
    _batch([f"link set {near} up", f"link set {far} up"], "ip", "-n", wires)
    _batch(
        [f"addr add {cable.address} dev {cable.name}", f"link set {cable.name} up"],
        "ip",
        "-n",
        lab.ns(cable.host),
    )
    _batch(
        [f"link set {switch_port} master br0", f"link set {switch_port} up"], "ip", "-n", lab.ns(cable.switch)
    )
    _limit(lab, near, far, cable.rate_bps)
    for node, device in (
        (cable.host, cable.name),
        (cable.switch, switch_port),
        ("wires", near),
        ("wires", far),
    ):
        _offloads_off(lab, node, device)


def _limit(lab: Lab, near: str, far: str, rate_bps: int) -> None:
    """Mirror instead of redirect: the copy no longer belongs to the sender's socket, which therefore forgets it, as
    it forgets what a NIC has sent. With redirect, TCP small queues would see the wire's FIFO and keep it short. The
    original is addressed to nobody here, and ends here."""
    lines = []
    for device, other in ((near, far), (far, near)):
        lines += [
            f"qdisc add dev {device} root handle 1: tbf rate {rate_bps}bit burst 6kb latency 1s",
            f"qdisc add dev {device} parent 1:1 handle 10: pfifo limit {WIRE_FIFO_PACKETS}",
            f"qdisc add dev {device} ingress",
            f"filter add dev {device} parent ffff: protocol all u32 match u32 0 0 action mirred egress mirror dev {other}",
        ]
    _batch(lines, "tc", "-n", lab.ns("wires"))


def set_wire_rate(lab: Lab, host: str, port: str, rate_bps: int) -> None:
    """Change the rate of one cable, both directions, while it carries traffic."""
    name = f"{host}{port}"
    lines = [
        f"qdisc change dev {device} root handle 1: tbf rate {rate_bps}bit burst 6kb latency 1s"
        for device in (name, f"{name}x")
    ]
    _batch(lines, "tc", "-n", lab.ns("wires"))


def _missing_tool() -> str:
    for tool, package in (("ip", "iproute2"), ("tc", "iproute2"), ("ethtool", "ethtool")):
        if shutil.which(tool) is None:
            return f"{tool} is missing: install the package {package}"
    return ""


def delete(prefix: str) -> None:
    """Delete every namespace of that prefix."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    names = [line.split()[0] for line in listed.splitlines() if line.startswith(prefix)]
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@contextmanager
def lab(cables: Sequence[Cable], switches: Sequence[str], *, keep: bool = False) -> Iterator[Lab]:
    """Build the fabric, hand it out, and take it down again unless ``keep``."""
    if reason := _missing_tool():
        raise LabError(reason)
    made = Lab(prefix=f"tfd{os.getpid()}-")
    hosts = list(dict.fromkeys(c.host for c in cables))
    made.nodes = [*hosts, *switches, "wires"]
    try:
        for node in made.nodes:
            _batch([f"netns add {made.ns(node)}"], "ip")
            _batch(["link set lo up"], "ip", "-n", made.ns(node))
        for switch in switches:
            _batch(["link add br0 type bridge", "link set br0 up"], "ip", "-n", made.ns(switch))
        for cable in cables:
            _plug(made, cable)
        yield made
    finally:
        if not keep:
            delete(made.prefix)
