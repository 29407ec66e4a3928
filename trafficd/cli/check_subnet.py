"""``trafficd check --opensm``: policies against the configuration that an InfiniBand subnet's OpenSM runs with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import read
from trafficd.core.subnets import tables_for
from trafficd.core.targets import least, targets
from trafficd_topology.audit.kinds import is_conf
from trafficd_topology.model import FabricSetting, FabricSpec, LinkLayer, Problem
from trafficd_topology.parsers.opensm_conf import INFORMING, is_unset, parse_conf
from trafficd_topology.qos.ib_ports import SubnetPorts, unfit
from trafficd_topology.qos.policy import Policy


def subnet_problems(
    path: str | None, policies: Iterable[Policy], fabric: FabricSpec | None
) -> Iterator[Problem]:
    """What OpenSM would take without a word and do otherwise; ``path`` is its opensm.conf, where one is given.

    Raises CliError for a file that is none.
    """
    settings = tuple(_settings(path)) if path else ()
    among = () if fabric is None else targets(fabric)
    rate = least(t.rate_bps for t in among if t.link_layer is LinkLayer.INFINIBAND)
    ports = SubnetPorts(settings=settings, rate_bps=rate)
    for policy in policies:
        for problem in unfit(policy.subnet_lanes, tables_for(policy, ports), policy.subnet, ports):
            at = (
                problem.path
                if problem.path.startswith("infiniband.") or not path
                else f"{path}: {problem.path}"
            )
            yield replace(problem, path=f"policy {policy.name}: {at}")


def _settings(path: str) -> Iterator[FabricSetting]:
    text = read(path).decode("latin-1")
    if not is_conf(text):
        raise CliError(
            Exit.USAGE, f"{path} is no opensm.conf: give the file that OpenSM reads (opensm -c FILE)"
        )
    options = parse_conf(text)
    for name in INFORMING:
        if name in options and not is_unset(name, options[name]):
            yield FabricSetting(name, options[name])
