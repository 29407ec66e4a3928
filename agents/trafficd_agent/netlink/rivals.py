"""Whether another program that writes DCB runs in this network namespace."""

from __future__ import annotations

from pathlib import Path

LLDPAD_SOCKET = "@/com/intel/lldpad"
"""lldpad's control socket (lldpad include/clif.h): its name is abstract, and such names belong to a network namespace. So it
is seen from a container that shares the host's network and none of its processes.
"""


def lldpad_runs(root: Path = Path("/")) -> bool:
    """An unreadable table says no."""
    try:
        text = (root / "proc/thread-self/net/unix").read_text("ascii", "replace")
    except OSError:
        return False
    return any(line.rsplit(" ", 1)[-1] == LLDPAD_SOCKET for line in text.splitlines())
