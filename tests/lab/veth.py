"""Two network namespaces with one cable between them; the calling thread stands in the near one."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEAR, FAR = "va", "vb"
NEAR_4, FAR_4, NOBODY_4 = "10.77.0.1", "10.77.0.2", "10.77.0.99"
NEAR_6, FAR_6, NOBODY_6 = "fd77::1", "fd77::2", "fd77::99"
CLONE_NEWNET = 0x40000000
DEADLINE_S = 10.0
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str, check: bool = True) -> str:
    """A command in the near namespace to its end; its output."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def batch(namespace: str, lines: Sequence[str]) -> None:
    subprocess.run(
        ["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines), text=True, check=True, timeout=30
    )


def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait until a condition holds; fail with what was waited for."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s:g} s")
        time.sleep(0.005)


def enter(namespace: Path) -> None:
    """Move the calling thread, and what it starts from now on, into a network namespace."""
    with namespace.open() as f:
        if _libc.setns(f.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {namespace}")


@dataclass(frozen=True, slots=True)
class Pair:
    """``near`` and ``far`` are namespaces; ``queues`` transmit queues at each end."""

    near: str
    far: str
    queues: int = 1

    def plug(self) -> None:
        """Lay the cable (again): a device of the same name and another index."""
        queues = f"numtxqueues {self.queues} numrxqueues {self.queues}"
        batch(
            self.near,
            [f"link add {NEAR} {queues} type veth peer name {FAR} {queues} netns {self.far}"],
        )
        for ns, device, v4, v6 in ((self.near, NEAR, NEAR_4, NEAR_6), (self.far, FAR, FAR_4, FAR_6)):
            batch(
                ns,
                [
                    f"link set {device} addrgenmode none",
                    f"addr add {v4}/24 dev {device}",
                    f"link set {device} up",
                    f"addr add {v6}/64 dev {device} nodad",
                ],
            )

    def unplug(self) -> None:
        batch(self.near, [f"link del {NEAR}"])

    def start_far(self, *command: str) -> subprocess.Popen[str]:
        """Start a program at the far end; whoever starts it ends it."""
        full = ["ip", "netns", "exec", self.far, *command]
        return subprocess.Popen(full, text=True, stdout=subprocess.PIPE)


@contextmanager
def pair(queues: int = 1) -> Iterator[Pair]:
    """Make both namespaces and the cable; at the end everything is gone and the thread is back where it was."""
    home = Path("/proc/thread-self/ns/net").open()  # noqa: SIM115 - held until the end
    prefix = f"tfd{os.getpid()}tc{next(_numbers)}"
    made = Pair(f"{prefix}a", f"{prefix}b", queues)
    try:
        for namespace in (made.near, made.far):
            run("ip", "netns", "add", namespace)
        made.plug()
        enter(Path("/run/netns", made.near))
        yield made
    finally:
        _libc.setns(home.fileno(), CLONE_NEWNET)
        home.close()
        for namespace in (made.near, made.far):
            run("ip", "netns", "delete", namespace, check=False)


def datagrams(count: int, to: str = FAR_4, **options: int) -> None:
    """Send so many UDP datagrams to a port nobody listens on; ``tos`` is the ToS or traffic class byte."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        if "tos" in options and family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, options["tos"])
        elif "tos" in options:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, options["tos"])
        if "priority" in options:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, options["priority"])
        for _ in range(count):
            s.sendto(b"x" * 100, (to, options.get("port", 9000)))
