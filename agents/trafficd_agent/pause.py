"""Whether this agent may write: two switches on disk, the controller's and the node's own.

    paused.json              the controller stopped every write; it alone lifts that
    paused-here.json         somebody on this node did, with or without a controller or a running agent

Either is enough. A file that is there and cannot be trusted counts as a stop: it fails safe and is never moved aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.files import parse, remove, save

UNREADABLE = "why cannot be read any more"


@dataclass(frozen=True, slots=True)
class Pauses:
    """Who stopped writes, and why; None where nobody did. A reason may be empty."""

    controller: str | None = None
    node: str | None = None

    @property
    def why(self) -> str:
        """One sentence, or empty when writes are allowed."""
        said = []
        if self.controller is not None:
            said.append("by the controller" + _because(self.controller))
        if self.node is not None:
            said.append(f"on this node{_because(self.node)} until trafficd-agent resume")
        return f"writes are stopped {' and '.join(said)}" if said else ""


NOBODY = Pauses()


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _read(path: Path) -> str | None:
    try:
        return str(parse(path.read_bytes())["reason"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return UNREADABLE


def _keep(path: Path, reason: str | None) -> None:
    if reason is None:
        remove(path)
    else:
        save(path, {"reason": reason})


class PauseFiles:
    """The switches in a state directory."""

    def __init__(self, directory: Path) -> None:
        self._controller, self._node = directory / "paused.json", directory / "paused-here.json"

    def read(self) -> Pauses:
        return Pauses(_read(self._controller), self.node())

    def node(self) -> str | None:
        return _read(self._node)

    def keep_controller(self, reason: str | None) -> None:
        """Raises SaveError."""
        _keep(self._controller, reason)

    def keep_node(self, reason: str | None) -> None:
        """Raises SaveError."""
        _keep(self._node, reason)
