"""Exit codes, and the one exception that ends a command. Documented in docs/cli.md."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FINDINGS = 1
    """The input has problems, or not everything is in sync: the answer was printed."""
    USAGE = 2
    """A wrong command line, or a file that cannot be read."""
    UNREACHABLE = 3
    """No controller answered in time."""
    REFUSED = 4
    """The controller refused, or cannot start: the sentence says why."""
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command: one sentence for the person, one code for the program."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
