"""``trafficd-agent subnet dump | render | verify``: a subnet from any host with umad; nothing on it is ever written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from trafficd_agent.commands import Code, StopError, say, state_dir, text
from trafficd_agent.config import parse_config
from trafficd_agent.driver import DriverError
from trafficd_agent.drivers.opensm import OpensmDriver, OpensmOptions
from trafficd_agent.drivers.opensm.rendering import MANNERS, rendered, steps, wrong_ports
from trafficd_agent.drivers.registry import options_of
from trafficd_agent.files import peek_accepted
from trafficd_topology.diff import State
from trafficd_topology.model import FabricInventory, ScopeKind
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.fit import Room, derive_tables
from trafficd_topology.qos.ib_ports import UNKNOWN, subnet_ports, unfit
from trafficd_topology.qos.ib_render import render_subnet
from trafficd_topology.qos.policy import Policy


def _options(args: argparse.Namespace) -> OpensmOptions:
    """How to reach the subnet: a rule of the agent's settings, else the first active device."""
    options = OpensmOptions()
    if args.config is not None:
        config, problems = parse_config(text(args.config))
        rules = [r for r in (config.rules if config else ()) if r.driver == "opensm"]
        named = [r for r in rules if args.fabric in {None, r.match}]
        if problems or len(named) != 1:
            names = ", ".join(r.match for r in rules) or "none"
            why = problems or (f"name one of its fabrics with --fabric: {names}",)
            raise StopError(Code.USAGE, *(f"{args.config}: {p}" for p in why))
        found, wrong = options_of("opensm", named[0].options, named[0].path)
        if wrong:
            raise StopError(Code.USAGE, *(f"{args.config}: {p}" for p in wrong))
        options = replace(found, fabric=named[0].match)
    device = {"device": args.device} if args.device else {}
    return replace(options, render_only=True, **device)


@contextmanager
def _offered(options: OpensmOptions) -> Iterator[tuple[OpensmDriver, FabricInventory]]:
    driver = OpensmDriver(options)
    with closing(driver):
        (offer,) = driver.fabrics()
        if not offer.dump:
            reason = next((o.reason for o in offer.offers), "it cannot be read")
            raise StopError(Code.CANNOT, driver.probe(options.fabric).reason or reason)
        yield driver, offer


def dump(args: argparse.Namespace) -> Code:
    """Nodes, ports and cables as ibnetdiscover prints them."""
    with _offered(_options(args)) as (_, offer):
        say(offer.dump)
    return Code.OK


def _policy(path: Path) -> Policy:
    policies, problems = parse_policies(text(path))
    if policies is None or problems:
        raise StopError(Code.FAILED, *(f"{path}: {p}" for p in problems))
    if len(policies.policies) != 1:
        raise StopError(Code.USAGE, f"{path} holds {len(policies.policies)} policies: give a file with one")
    return policies.policies[0]


def _desired(args: argparse.Namespace, offer: FabricInventory | None) -> State:
    """Of a policy file; else what the controller last wanted of this agent."""
    if args.policy is None:
        accepted, problem = peek_accepted(state_dir(args))
        scopes = [
            s
            for s in (accepted.scopes if accepted else ())
            if s.id.kind is ScopeKind.FABRIC and args.fabric in {None, s.id.name}
        ]
        if len(scopes) == 1:
            return scopes[0].elements
        why = problem or f"{len(scopes)} fabrics were accepted from a controller"
        raise StopError(Code.USAGE, f"{why}: give a policy with --policy, or name one with --fabric")
    policy = _policy(args.policy)
    if policy.subnet.writes_paths:
        raise StopError(
            Code.FAILED,
            f"{args.policy} has paths or partitions, whose hosts only a controller knows: apply it there",
        )
    ports = subnet_ports(offer) if offer is not None else UNKNOWN
    tables = policy.infiniband or derive_tables(policy.lanes, Room(ports.entries, ports.packet_bytes))
    if wrong := unfit(policy.lanes, tables, policy.subnet, ports):
        raise StopError(Code.FAILED, *map(str, wrong))
    return render_subnet(policy, tables, ports)


def render(args: argparse.Namespace) -> Code:
    """Files, what changes, and the steps in words."""
    exported = text(args.conf).decode("latin-1") if args.conf else ""
    if args.offline:
        desired = _desired(args, None)
    else:
        with _offered(_options(args)) as (_, offer):
            desired = _desired(args, offer)
    made = rendered(desired, exported)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, content in made.files.items():
            (args.out / name).write_bytes(content.encode("latin-1"))
    say(made.changes or "nothing changes")
    say("\n".join(("", *steps(MANNERS[args.sm], made))))
    return Code.OK


def verify(args: argparse.Namespace) -> Code:
    """Every port's tables, read by SMP."""
    with _offered(_options(args)) as (driver, offer):
        desired = _desired(args, offer)
        try:
            seen = driver.read(offer.name)
        except DriverError as e:
            raise StopError(Code.CANNOT, str(e)) from e
    wrong = wrong_ports(desired, seen.state)
    silent = sorted(u for u in seen.unreadable if " of 0x" in u)
    for sentence in (*wrong, *(f"{name} did not answer" for name in silent)):
        say(sentence)
    count = f"{offer.ports} ports, every pair of ports of every switch"
    say(f"{count}: {'not as wanted' if wrong else 'as wanted'}")
    return Code.FINDINGS if wrong or silent else Code.OK


VERBS: dict[str, Callable[[argparse.Namespace], Code]] = {"dump": dump, "render": render, "verify": verify}


def add(commands: Any) -> None:
    """Their command lines."""
    parser = commands.add_parser(
        "subnet", help="an InfiniBand subnet from any host with umad; writes nothing there"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--config", type=Path, help="settings (YAML) of the agent, for how to reach the subnet"
    )
    where.add_argument("--fabric", help="its name there")
    where.add_argument("--device", help="RDMA device to send from; default: the first active one")
    wanted = argparse.ArgumentParser(add_help=False)
    wanted.add_argument("--policy", type=Path, help="default: what a controller last wanted of this agent")
    wanted.add_argument("--state-dir", help="where the agent keeps its state")
    verbs.add_parser("dump", parents=[where], help="nodes, ports and cables, as ibnetdiscover prints them")
    one = verbs.add_parser(
        "render", parents=[where, wanted], help="files and steps for a subnet manager that is not ours"
    )
    one.add_argument(
        "--conf", type=Path, help="its exported opensm.conf, to keep its lines and to show what changes"
    )
    one.add_argument("--out", type=Path, help="directory to put the files in")
    one.add_argument("--sm", choices=sorted(MANNERS), default="opensm", help="whose it is")
    one.add_argument("--offline", action="store_true", help="do not ask the subnet what its ports can hold")
    verbs.add_parser("verify", parents=[where, wanted], help="read every port's tables and compare them")


def subnet(args: argparse.Namespace) -> Code:
    return VERBS[args.verb](args)
