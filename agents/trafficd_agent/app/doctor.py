"""``trafficd-agent doctor``: what will not work on this node, and why. Reads only; each check is one row of ``CHECKS``.

A check yields what it found, good or bad. One that fails itself is a warning of its own and holds up no other.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.app.audit import conf_paths
from trafficd_agent.app.drivers import DriverTable, take_inventory
from trafficd_agent.app.run import refuse_plaintext
from trafficd_agent.config import Config
from trafficd_agent.desired import ScopeId
from trafficd_agent.driver import Driver, DriverError
from trafficd_agent.files import peek_accepted
from trafficd_agent.netlink.channel import Channel, KernelError
from trafficd_agent.netlink.dcb_probe import has_dcb
from trafficd_agent.session.ask import ask_controller
from trafficd_agent.sysfs import host
from trafficd_topology.audit.finding import Finding, Severity
from trafficd_topology.model import LinkLayer, NodeInventory, ScopeKind

ANSWER_S = 3.0
LEAST_FREE_BYTES = 64 * 2**20
MOST_OFFSET_S = 1.0
MODULES = (
    ("sch_htb", "lanes of the tc driver"),
    ("cls_u32", "which packet belongs to which lane, in the tc driver"),
)
RIVALS = (
    ("lldpad", "it negotiates DCB and may overwrite priorities and shares: stop it, or take its ports out"),
    ("dcbd", "it negotiates DCB and may overwrite priorities and shares: stop it"),
    ("fcoemon", "it configures DCB through lldpad: stop it on ports with lanes"),
    ("cilium-agent", "its bandwidth manager replaces root queues: turn that off on ports with lanes"),
)
OK, INFO, WARNING, ERROR = Severity.OK, Severity.INFO, Severity.WARNING, Severity.ERROR


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. ``root`` is the machine's root, ``/`` or a copy."""

    config: Config
    drivers: DriverTable
    root: Path
    version: str
    found: NodeInventory


Check = Callable[[Patient], Iterator[Finding]]


def _uses(p: Patient, driver: str) -> bool:
    return any(r.driver == driver for r in p.config.rules)


def network_rights(p: Patient) -> Iterator[Finding]:
    has = host.has_capability(p.root, host.CAP_NET_ADMIN)
    if not _uses(p, "tc"):
        return
    remedy = "Run it as root, or give it CAP_NET_ADMIN (AmbientCapabilities= in its unit)."
    if has:
        yield Finding("permissions", OK, "CAP_NET_ADMIN", "held: queues can be programmed", "")
    elif has is None:
        yield Finding("permissions", INFO, "CAP_NET_ADMIN", "/proc does not say whether it is held", remedy)
    else:
        said = "not held: the agent can observe and program nothing"
        yield Finding("permissions", ERROR, "CAP_NET_ADMIN", said, remedy)


def fabric_rights(p: Patient) -> Iterator[Finding]:
    if not _uses(p, "opensm"):
        return
    devices = sorted((p.root / "dev/infiniband").glob("umad*"))
    if not devices:
        said = "no umad device: tables of ports cannot be read back"
        yield Finding(
            "permissions",
            ERROR,
            "/dev/infiniband",
            said,
            "Load ib_umad, and pass the device into the container.",
        )
    for path in (*devices, *(p.root / c.lstrip("/") for c in conf_paths(p.config))):
        if not path.exists():
            yield Finding(
                "permissions",
                ERROR,
                str(path),
                "it is not there",
                "Name OpenSM's file in the driver's options (conf).",
            )
        elif os.access(path, os.R_OK | os.W_OK):
            yield Finding("permissions", OK, str(path), "readable and writable", "")
        else:
            yield Finding(
                "permissions",
                ERROR,
                str(path),
                "not readable and writable for this user",
                "Run the agent as root beside the subnet manager.",
            )


def rivals(p: Patient) -> Iterator[Finding]:
    running = {x.name: x.pid for x in host.processes(p.root)}
    met = [(name, why) for name, why in RIVALS if name in running]
    for name, why in met:
        yield Finding(
            "conflicts", WARNING, name, f"it runs (process {running[name]})", why[0].upper() + why[1:] + "."
        )
    if not met:
        yield Finding(
            "conflicts", OK, "other writers", "none of lldpad, dcbd, fcoemon, cilium-agent runs", ""
        )


def _is_agent(x: host.Process) -> bool:
    return "run" in x.words[1:] and any(Path(w).name == "trafficd-agent" for w in x.words[:2])


def second_agent(p: Patient) -> Iterator[Finding]:
    agents = [x.pid for x in host.processes(p.root) if _is_agent(x) and x.pid != os.getpid()]
    if len(agents) > 1:
        shown = ", ".join(map(str, agents))
        remedy = "Stop all but one, or give each a network namespace and a node name of its own."
        yield Finding(
            "conflicts", ERROR, "agents", f"{len(agents)} agents run here (processes {shown})", remedy
        )
    else:
        said = f"one runs (process {agents[0]})" if agents else "none runs yet"
        yield Finding("conflicts", OK, "agents", said, "")


def foreign_queues(p: Patient) -> Iterator[Finding]:
    """What somebody else has put where a driver would program lanes."""
    for port in p.found.ports:
        for offer in (o for o in port.offers if o.supported):
            driver = p.drivers.find(ScopeId(ScopeKind.PORT, port.name), offer.driver)
            if driver is not None:
                yield from _foreign(driver, port.name)


def _foreign(driver: Driver, port: str) -> Iterator[Finding]:
    try:
        foreign = driver.read(port).foreign
    except DriverError as e:
        yield Finding("conflicts", WARNING, port, f"its queues cannot be read: {e}", "Correct that first.")
        return
    for said in foreign:
        remedy = "Remove it, take the port out of the policy, or let the driver take it over (take_over)."
        yield Finding("conflicts", WARNING, port, said, remedy)


def ports(p: Patient) -> Iterator[Finding]:
    """What each driver says of each port: what will not work, and why."""
    if not p.found.ports:
        remedy = "Run the agent in the host's network namespace (hostNetwork), and name sysfs with --sysfs if it is elsewhere."
        yield Finding("ports", ERROR, p.config.node, "no port was found", remedy)
    for port in p.found.ports:
        for offer in port.offers:
            at = f"{port.name} by {offer.driver}"
            if offer.supported:
                yield Finding("ports", OK, at, offer.reason or "can be programmed", "")
            elif port.link_layer is LinkLayer.ETHERNET:
                remedy = "Follow the reason, or leave this port out of policies that enforce."
                yield Finding("ports", INFO, at, offer.reason or "cannot be programmed", remedy)
    for fabric in p.found.fabrics:
        for offer in fabric.offers:
            severity, said = (
                (OK, "can be programmed") if offer.supported else (WARNING, "cannot be programmed")
            )
            remedy = (
                ""
                if offer.supported
                else "Follow the reason; run the agent beside the fabric's subnet manager."
            )
            yield Finding(
                "ports", severity, f"fabric {fabric.name} by {offer.driver}", offer.reason or said, remedy
            )


def kernel(p: Patient) -> Iterator[Finding]:
    release = host.kernel_release(p.root) or "unknown"
    for name, what in MODULES if _uses(p, "tc") else ():
        there = host.has_module(p.root, name)
        if there:
            yield Finding("kernel", OK, name, f"there in kernel {release} ({what})", "")
        elif there is None:
            said = f"not loaded, and the kernel's module lists are not visible here ({what})"
            yield Finding(
                "kernel",
                INFO,
                name,
                said,
                f"Run modprobe {name} on the host, or ignore this where it is built in.",
            )
        else:
            remedy = "Install the kernel's extra modules (linux-modules-extra or kernel-modules-extra)."
            yield Finding("kernel", ERROR, name, f"kernel {release} does not have it ({what})", remedy)


def dcb(p: Patient) -> Iterator[Finding]:
    with Channel() as channel:
        for port in p.found.ports:
            if port.link_layer is not LinkLayer.ETHERNET:
                continue
            try:
                there = has_dcb(channel, port.name)
            except KernelError as e:
                yield Finding(
                    "kernel",
                    INFO,
                    f"DCB on {port.name}",
                    f"the kernel answered {e}",
                    "Look at the driver's log.",
                )
                continue
            said = (
                "its driver speaks DCB" if there else "its driver has no DCB: no lanes for RDMA on this port"
            )
            remedy = "" if there else "Lanes by tc remain, for traffic of the kernel's stack."
            yield Finding("kernel", OK if there else INFO, f"DCB on {port.name}", said, remedy)


def namespace(p: Patient) -> Iterator[Finding]:
    if host.is_own_namespace(p.root):
        said = "this is not the host's: only its own ports are seen, without their physical counters"
        yield Finding(
            "kernel", INFO, "network namespace", said, "Use hostNetwork for an agent of the host's NICs."
        )


def clock(p: Patient) -> Iterator[Finding]:
    kept = host.is_clock_kept() if p.root == Path("/") else None
    if kept is False:
        remedy = (
            "Run chrony or another NTP client: times in logs and reports of several nodes cannot be compared."
        )
        yield Finding("clock", WARNING, "kernel clock", "nothing keeps it synchronised", remedy)
    elif kept:
        yield Finding("clock", OK, "kernel clock", "synchronised", "")


def _nearest(path: Path) -> Path:
    """The directory itself, or the nearest one above it that is there."""
    return next((p for p in (path, *path.parents) if p.exists()), Path("/"))


def state_dir(p: Patient) -> Iterator[Finding]:
    path = Path(p.config.state_dir)
    at, there = f"state_dir {path}", _nearest(path)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "state",
            ERROR,
            at,
            f"{there} cannot be written by this user",
            "Make it writable, or choose another with --state-dir.",
        )
        return
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        said = f"{free >> 20} MiB are free"
        yield Finding(
            "state",
            ERROR,
            at,
            said,
            "Free some space: nothing is written to devices that could not be undone.",
        )
        return
    accepted, problem = peek_accepted(path)
    if problem:
        yield Finding(
            "state",
            WARNING,
            at,
            problem,
            "The agent moves it aside at its next start and waits for a controller.",
        )
        return
    held = f"accepted generation {accepted.generation} is there" if accepted else "nothing was accepted yet"
    yield Finding("state", OK, at, f"writable; {held}", "")


def controllers(p: Patient) -> Iterator[Finding]:
    """An address that the agent would refuse to dial is not dialled."""
    if reason := refuse_plaintext(p.config):
        remedy = "Allow it, or reach it through an encrypted tunnel on loopback."
        yield Finding("controller", ERROR, ", ".join(p.config.controllers), reason, remedy)
        return
    for address in p.config.controllers:
        try:
            view = ask_controller(address, p.config.node, ANSWER_S)
        except ConnectionError as e:
            remedy = "Start trafficd serve there, open the port, or name another with --controller; the agent keeps what it accepted."
            yield Finding("controller", ERROR, address, str(e), remedy)
            continue
        met = "connected" if view.connected else "not connected"
        yield Finding("controller", OK, address, f"controller {view.uuid} answers; this node is {met}", "")
        yield from _skew(p, address, view.version)
        yield from _offset(address, view.offset_s)


def minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _skew(p: Patient, address: str, version: str) -> Iterator[Finding]:
    if minor(version) == minor(p.version):
        yield Finding("versions", OK, address, f"controller {version}, agent {p.version}", "")
    else:
        remedy = (
            "Upgrade agents first, then the controller: an older agent does not know newer kinds of settings."
        )
        yield Finding("versions", WARNING, address, f"controller {version}, agent {p.version}", remedy)


def _offset(address: str, offset_s: float | None) -> Iterator[Finding]:
    if offset_s is not None and abs(offset_s) > MOST_OFFSET_S:
        said = f"this node's clock is {offset_s:+.1f} s from the controller's"
        yield Finding("clock", WARNING, address, said, "Let both follow one time server.")


def http(p: Patient) -> Iterator[Finding]:
    """Whether the address of the metrics page is free, or held by an agent."""
    if not p.config.http:
        return
    name, _, number = p.config.http.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(number)), timeout=ANSWER_S):
            said = "in use, by the agent that runs here or by somebody else"
            taken = not any(_is_agent(x) for x in host.processes(p.root))
            remedy = "Choose another with --http." if taken else ""
            yield Finding("http", WARNING if taken else OK, p.config.http, said, remedy)
    except OSError:
        yield Finding("http", OK, p.config.http, "free", "")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("permissions", network_rights),
    ("permissions", fabric_rights),
    ("conflicts", rivals),
    ("conflicts", second_agent),
    ("conflicts", foreign_queues),
    ("ports", ports),
    ("kernel", kernel),
    ("kernel", dcb),
    ("kernel", namespace),
    ("clock", clock),
    ("state", state_dir),
    ("controller", controllers),
    ("http", http),
)


def _safely(name: str, check: Check, p: Patient) -> Iterator[Finding]:
    try:
        yield from check(p)
    except Exception as e:  # noqa: BLE001 - a check that fails must not hide the others
        yield Finding(
            name, WARNING, check.__name__, f"this check failed ({type(e).__name__}: {e})", "Report this."
        )


def examine(config: Config, drivers: DriverTable, root: Path, version: str) -> tuple[Finding, ...]:
    """Every check, in order. Raises OSError when the machine's directories cannot be listed."""
    patient = Patient(config, drivers, root, version, take_inventory(root, config.node, drivers))
    return tuple(f for name, check in CHECKS for f in _safely(name, check, patient))
