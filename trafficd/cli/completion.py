"""``trafficd completion``: what a shell needs to complete the command's words."""

from __future__ import annotations

import argparse

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import say

SHELLS = ("bash", "zsh", "fish")
FILES = ("FILE", "FILE_OR_FOLDER")
FOLDERS = ("DIR",)


def add(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], whole: argparse.ArgumentParser
) -> None:
    parser = subparsers.add_parser(
        "completion",
        help="print the completion script of a shell",
        description="Prints a script that completes the command's words. bash: source <(trafficd completion bash); "
        "zsh: put it into a file _trafficd on $fpath; fish: into ~/.config/fish/completions/trafficd.fish.",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=lambda args: run(args, whole))


def run(args: argparse.Namespace, whole: argparse.ArgumentParser) -> int:
    try:
        import shtab  # noqa: PLC0415 - no other command needs it
    except ImportError as e:
        raise CliError(Exit.REFUSED, "completion needs shtab: pip install 'trafficd[controller]'") from e
    _mark(whole, shtab.FILE, shtab.DIRECTORY)
    say(shtab.complete(whole, shell=args.shell))
    return Exit.OK


def _mark(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    """Arguments that name files complete to files; shtab reads that from an attribute of the argument."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to list them
        if action.metavar in FILES:
            action.complete = file  # type: ignore[attr-defined]
        if action.metavar in FOLDERS:
            action.complete = folder  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for sub in action.choices.values():
                _mark(sub, file, folder)
