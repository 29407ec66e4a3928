"""What a doctor asks of the host: capabilities, processes, kernel modules, the clock. Reads; changes nothing."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.sysfs.files import names, real, text

CAP_NET_ADMIN = 12
TIME_ERROR = 5
TIMEX_BYTES = 208
"""sizeof(struct timex) on 64-bit Linux; its first word is ``modes``, and 0 changes nothing (adjtimex(2))."""
MODULES_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    name: str
    words: tuple[str, ...]


def has_capability(root: Path, number: int) -> bool | None:
    """Of this process; None where /proc does not say."""
    found = re.search(r"^CapEff:\s*([0-9a-fA-F]{1,16})$", text(root / "proc/self/status"), re.MULTILINE)
    return None if found is None else bool(int(found[1], 16) >> number & 1)


def processes(root: Path) -> Iterator[Process]:
    """Every process that can be seen. Raises OSError when /proc cannot be listed."""
    for entry in names(root / "proc"):
        if entry.isdigit():
            words = tuple(w for w in text(root / "proc" / entry / "cmdline").split("\0") if w)
            yield Process(int(entry), text(root / "proc" / entry / "comm").strip(), words)


def kernel_release(root: Path) -> str:
    return text(root / "proc/sys/kernel/osrelease").strip()


def has_module(root: Path, name: str) -> bool | None:
    """Loaded, built in, or there to be loaded; None where the machine does not say (a container without modules)."""
    if (root / "sys/module" / name).exists():
        return True
    folder = root / "lib/modules" / kernel_release(root)
    lists = [text(folder / file, MODULES_BYTES) for file in ("modules.builtin", "modules.dep")]
    if not any(lists):
        return None
    return any(re.search(rf"/{re.escape(name)}\.ko", one) is not None for one in lists)


def is_own_namespace(root: Path) -> bool | None:
    """Whether this process sees other network interfaces than the first one; None where that cannot be seen."""
    mine, first = (real(root / "proc" / who / "ns/net") for who in ("self", "1"))
    if "net:[" not in mine or "net:[" not in first:
        return None
    return mine.rpartition("/")[2] != first.rpartition("/")[2]


def is_clock_kept() -> bool | None:
    """Whether anything keeps the kernel's clock; None where the kernel does not say."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(2 * TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else bool(answer != TIME_ERROR)
