"""Commands that act on this node by themselves, with no controller and no running agent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from trafficd_agent.apply import SaveError
from trafficd_agent.config import default_config, parse_config
from trafficd_agent.pause import PauseFiles


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


def add(commands: Any) -> None:
    """Their command lines."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--config", type=Path, help="settings (YAML) of the agent")
    where.add_argument("--state-dir", help="where the agent keeps its state")
    one = commands.add_parser("pause", parents=[where], help="stop every write on this node")
    one.add_argument("--reason", default="", help="why, for whoever asks the agent for its status")
    commands.add_parser("resume", parents=[where], help="allow writes again after pause")


COMMANDS: dict[str, Callable[[argparse.Namespace], Code]] = {"pause": pause, "resume": resume}
