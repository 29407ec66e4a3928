"""Commands that act on this node by themselves, with no controller and no running agent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from trafficd_agent.app.adopt import read_tc
from trafficd_agent.app.drivers import DriverTable, bind, take_inventory
from trafficd_agent.app.reset import Reset
from trafficd_agent.apply import SaveError
from trafficd_agent.config import DriverRule, default_config, parse_config
from trafficd_agent.desired import ScopeId
from trafficd_agent.driver import Driver, DriverError
from trafficd_agent.drivers.opensm import OpensmOptions
from trafficd_agent.files import LockedError, locked
from trafficd_agent.pause import PauseFiles
from trafficd_topology.adopt import Adopted, adopt_opensm, adopt_tc, document
from trafficd_topology.adopt_dcb import adopt_dcb
from trafficd_topology.diff import Disruption
from trafficd_topology.model import Problem, ScopeKind

FULL_RATE_BPS = 400_000_000_000
"""What ceilings are taken as parts of, where a port does not say how fast it is."""


class Code(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_READY = 4
    FINDINGS = 1
    CANNOT = 5


class StopError(Exception):
    """Ends the command with a code and one sentence a line."""

    def __init__(self, code: Code, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.code = code


def text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise StopError(Code.USAGE, f"cannot read {path}: {e.strerror}") from e


def say(sentence: str) -> None:
    sys.stdout.write(sentence if sentence.endswith("\n") else f"{sentence}\n")


def state_dir(args: argparse.Namespace) -> Path:
    """Where the agent keeps its state. Whatever else is wrong with the settings does not matter here."""
    if args.state_dir is not None:
        return Path(args.state_dir)
    if args.config is None:
        return Path(default_config().state_dir)
    config, problems = parse_config(text(args.config))
    if config is None:
        raise StopError(Code.USAGE, *(f"{args.config}: {p}" for p in problems))
    return Path(config.state_dir)


def pause(args: argparse.Namespace) -> Code:
    """Stop every write on this node, until ``resume``; a running agent notices within a second."""
    directory = state_dir(args)
    try:
        PauseFiles(directory).keep_node(args.reason)
    except SaveError as e:
        raise StopError(Code.FAILED, str(e)) from e
    say(f"writes are stopped on this node until trafficd-agent resume (noted in {directory})")
    return Code.OK


def resume(args: argparse.Namespace) -> Code:
    """Allow writes again, as far as this node is asked."""
    files = PauseFiles(state_dir(args))
    before = files.read()
    try:
        files.keep_node(None)
    except SaveError as e:
        raise StopError(Code.FAILED, str(e)) from e
    say("writes are allowed again" if before.node is not None else "writes were not stopped on this node")
    if before.controller is not None:
        say("the controller stopped writes as well: trafficd resume lifts that")
    return Code.OK


def _drivers(args: argparse.Namespace) -> DriverTable:
    config, problems = default_config(), tuple[Problem, ...]()
    if args.config is not None:
        parsed, problems = parse_config(text(args.config))
        config = parsed or config
    drivers, more = bind(config)
    if problems or more:
        raise StopError(Code.USAGE, *(f"{args.config or 'settings'}: {p}" for p in (*problems, *more)))
    return drivers


def reset(args: argparse.Namespace) -> Code:
    """Give back every port and fabric this node's agent wrote to."""
    directory, drivers = state_dir(args), _drivers(args)
    try:
        with locked(directory):
            return _reset(Reset(directory, drivers), args)
    except (SaveError, LockedError) as e:
        raise StopError(Code.FAILED, str(e)) from e


def _reset(work: Reset, args: argparse.Namespace) -> Code:
    ways = tuple(work.ways())
    for way in ways:
        say(
            "\n".join(
                [f"{way.scope} ({way.driver}): {way.problem or _count(way.steps)}", *_indented(way.steps)]
            )
        )
    if not args.yes:
        say(
            "nothing was written: add --yes to do this"
            if ways
            else "nothing on this node was written by its agent"
        )
        return Code.OK
    work.forget_desired()
    failed = False
    for back in work.give_back(Disruption.FABRIC_FLAP if args.allow_disruptive else Disruption.HITLESS):
        failed |= bool(back.problem)
        say(f"{back.scope}: {back.problem or 'as it was found, and forgotten'}")
    if failed:
        raise StopError(
            Code.FAILED, "not everything is as it was found: act on what is said above and repeat"
        )
    return Code.OK


def _count(steps: tuple[str, ...]) -> str:
    return f"{len(steps)} steps back to what was found" if steps else "holds what was found"


def _indented(steps: tuple[str, ...]) -> list[str]:
    return [f"  {s}" for s in steps]


def adopt(args: argparse.Namespace) -> Code:
    """Print the policy that says what this node's ports and its subnet manager hold already."""
    config = default_config()
    node = args.node or config.node
    drivers = _drivers(args)
    found = [_adopt_port(node, p, drivers) for p in args.ports]
    found += [_adopt_fabric(b.rule) for b in drivers.bound if b.rule.driver == "opensm"]
    if not any(a.text for a in found):
        raise StopError(Code.FAILED, *(s for a in found for s in a.left), "nothing can be adopted")
    say(document(found))
    return Code.OK


def _adopt_fabric(rule: DriverRule) -> Adopted:
    path = Path((rule.options or {}).get("conf", OpensmOptions().conf))
    return adopt_opensm(rule.match, text(path).decode("utf-8", "replace"))


def _adopt_port(node: str, port: str, drivers: DriverTable) -> Adopted:
    """By what a driver of DCB reads there, where one serves the port; else its htb tree."""
    try:
        driver = _dcb_driver(port, drivers)
        if driver is None:
            return adopt_tc(node, port, read_tc(port))
        ports = take_inventory(Path("/"), node, drivers).ports
        rate_bps = next((p.rate_bps for p in ports if p.name == port), None)
        found = adopt_dcb(node, port, driver.read(port).state, rate_bps or FULL_RATE_BPS)
        return Adopted(found.text, found.left)
    except (DriverError, OSError) as e:
        return Adopted("", (str(e),))


def _dcb_driver(port: str, drivers: DriverTable) -> Driver | None:
    scope = ScopeId(ScopeKind.PORT, port)
    serving = (b.driver for b in drivers.bound if b.serves(scope))
    return next((d for d in serving if d.probe(port).supported and d.probe(port).dcb), None)


def add(commands: Any) -> None:
    """Their command lines."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--config", type=Path, help="settings (YAML) of the agent")
    where.add_argument("--state-dir", help="where the agent keeps its state")
    one = commands.add_parser("pause", parents=[where], help="stop every write on this node")
    one.add_argument("--reason", default="", help="why, for whoever asks the agent for its status")
    three = commands.add_parser(
        "adopt", parents=[where], help="the policy that says what is programmed already"
    )
    three.add_argument(
        "ports", nargs="*", metavar="PORT", help="network devices whose DCB settings or htb tree to read"
    )
    three.add_argument("--node", help="name of this node; default: the host name")
    three.add_argument("--output", choices=["yaml"], default="yaml")
    two = commands.add_parser("reset", parents=[where], help="put back what was there before the first write")
    two.add_argument("--yes", action="store_true", help="do it; without, it is only shown")
    two.add_argument(
        "--allow-disruptive", action="store_true", help="also by steps that flap a link or a fabric"
    )
    commands.add_parser("resume", parents=[where], help="allow writes again after pause")


def add_completion(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], whole: argparse.ArgumentParser
) -> None:
    """``completion``, which needs every other command's words."""
    parser = commands.add_parser("completion", help="print the completion script of a shell")
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(whole=whole)


def completion(args: argparse.Namespace) -> Code:
    try:
        import shtab  # noqa: PLC0415 - no other command needs it
    except ImportError as e:
        raise StopError(Code.FAILED, "completion needs shtab: pip install 'trafficd[agent]'") from e
    say(shtab.complete(args.whole, shell=args.shell))
    return Code.OK


COMMANDS: dict[str, Callable[[argparse.Namespace], Code]] = {
    "completion": completion,
    "pause": pause,
    "resume": resume,
    "reset": reset,
    "adopt": adopt,
}
