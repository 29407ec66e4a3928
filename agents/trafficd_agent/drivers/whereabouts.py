"""Where a network device has gone that is not here any more: unplugged, or given to a pod.

A device that moved to another network namespace is invisible here, and the hardware it is on is not: its directory in
sysfs still stands and its kernel driver is still bound, with no network device below it in this namespace.
"""

from __future__ import annotations

from pathlib import Path

from trafficd_agent.driver import GoneError, InPodError


class Whereabouts:
    """Remembers the hardware below each network device it was asked about."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._net = root / "sys/class/net"
        self._hardware: dict[str, Path] = {}

    def seen(self, name: str) -> None:
        """The device is here; where its hardware stands."""
        link = self._net / name / "device"
        if link.exists():
            self._hardware[name] = link.resolve()

    def hardware(self, name: str) -> Path | None:
        return self._hardware.get(name)

    def missing(self, name: str) -> GoneError:
        """The device is not here: why, as far as that can be told."""
        below = self._hardware.get(name)
        if below is not None and (below / "driver").exists() and not _names(below / "net"):
            return InPodError(
                f"{name} is in another network namespace, of a pod for instance: it is looked at again when it is back"
            )
        return GoneError(
            f"there is no network device {name} in this network namespace: bring it back, take it out of the fabric, "
            "or let the agent run in the host's (hostNetwork)"
        )


def _names(directory: Path) -> tuple[str, ...]:
    try:
        return tuple(p.name for p in directory.iterdir())
    except OSError:
        return ()
