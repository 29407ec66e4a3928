"""A machine of its own for what the host's kernel cannot do: Debian's kernel under QEMU, with this file system in it.

The guest sees the host's files, and what it writes is gone with it, but for one directory. It is emulated (TCG), so it needs
neither KVM nor a privilege: up in about three seconds on an idle core, and some ten times slower than the host.
``tools/guest.sh`` fetches the kernel into a cache beside every checkout; a missing component is an error.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "dcbtest"
MEGABYTES = 1536
SHARED = "/run/shared"
"""Where the guest has the directory that outlives it."""
FIRST_MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("9pnet", "9pnet_virtio", "netfs", "fscache", "9p", "overlay"),
)
"""What it takes to see the host's files; the kernel loads the others from there."""
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /host /upper /root
$b mount -t proc proc /proc
for m in $($b cat /modules/order); do $b insmod /modules/$m; done
options=trans=virtio,version=9p2000.L,msize=262144
$b mount -t 9p -o $options,cache=loose,ro host /host
$b mount -t tmpfs tmpfs /upper
$b mkdir -p /upper/made /upper/work
$b mount -t overlay -o lowerdir=/host,upperdir=/upper/made,workdir=/upper/work overlay /root
$b mkdir -p /root/run/shared
$b mount -t 9p -o $options,cache=none,rw shared /root/run/shared
$b mount -t proc proc /root/proc
$b mount -t sysfs sysfs /root/sys
$b mount -t devtmpfs devtmpfs /root/dev
exec $b switch_root /root /bin/sh /run/shared/init
"""
SECOND_INIT = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; }
mount -t debugfs debugfs /sys/kernel/debug
mount -t configfs configfs /sys/kernel/config 2>/dev/null
mount --bind "$modules" /lib/modules
ip link set lo up
setsid sh /run/shared/job </dev/null >/run/shared/output 2>&1
echo $? >/run/shared/status.new
mv /run/shared/status.new /run/shared/status
poweroff -f
"""


class GuestError(Exception):
    """What the guest needs and does not find, or how it ended. One sentence."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Debian's kernel as ``tools/guest.sh`` left it."""

    cache: Path
    version: str

    @property
    def image(self) -> Path:
        return self.cache / "vmlinux"

    @property
    def modules(self) -> Path:
        return self.cache / "kernel" / "lib" / "modules"

    @property
    def headers(self) -> Path:
        return Path(f"/usr/src/linux-headers-{self.version}")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a job ended, with everything it said."""

    status: int
    output: str


def kernel() -> Kernel:
    """The kernel in the cache. Raises GuestError."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(os.environ.get("TRAFFICD_GUEST") or f"{base}/trafficd/guest")
    ready = cache / "ready"
    if not ready.exists():
        raise GuestError(f"{ready} is not there: run tools/guest.sh, which fetches the kernel of the guest")
    found = Kernel(cache, ready.read_text().strip())
    for needed in (found.image, found.modules / found.version, found.headers / "Makefile"):
        if not needed.exists():
            raise GuestError(f"{needed} is not there: remove {ready} and run tools/guest.sh")
    return found


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One of all checkouts of this machine at a time."""
    with (cache / ".build").open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _digest(*texts: bytes) -> str:
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def _tool(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise GuestError(f"{name} is missing: install the package {package}")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    if done.returncode:
        said = (done.stderr or done.stdout)[-2000:]
        raise GuestError(f"{' '.join(command)} failed: {said!r}")


def module(found: Kernel) -> Path:
    """``dcbtest.ko`` for that kernel, built once for each state of its source."""
    texts = [(SOURCE / name).read_bytes() for name in ("dcbtest.c", "Kbuild", "Makefile")]
    made = found.cache / f"dcbtest-{_digest(found.version.encode(), *texts)}"
    with _alone(found.cache):
        if not (made / "done").exists():
            shutil.rmtree(made, ignore_errors=True)
            make = _tool("make", "make")
            _run(make, "-C", str(SOURCE), f"KDIR={found.headers}", f"BUILD={made}", "KCFLAGS=-Werror")
            (made / "done").touch()
    return made / "dcbtest.ko"


def _first_files(found: Kernel) -> Path:
    """The archive that the kernel starts from; built once."""
    made = (
        found.cache
        / f"initrd-{_digest(INIT.encode(), found.version.encode(), ' '.join(FIRST_MODULES).encode())}"
    )
    with _alone(found.cache):
        if not made.exists():
            _pack(found, made)
    return made


def _pack(found: Kernel, made: Path) -> None:
    tree = made.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bin").mkdir(parents=True)
    (tree / "modules").mkdir()
    shutil.copy(_tool("busybox", "busybox-static"), tree / "bin" / "busybox")
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    files = {p.stem.replace("-", "_"): p for p in (found.modules / found.version / "kernel").rglob("*.ko")}
    here = [files[name] for name in FIRST_MODULES if name in files]
    for path in here:
        shutil.copy(path, tree / "modules")
    (tree / "modules" / "order").write_text("\n".join(p.name for p in here))
    names = "\n".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    with made.with_suffix(".new").open("wb") as out:
        pack = [_tool("cpio", "cpio"), "-o", "-H", "newc", "--quiet"]
        subprocess.run(pack, input=names.encode(), stdout=out, cwd=tree, check=True, timeout=60)
    made.with_suffix(".new").rename(made)
    shutil.rmtree(tree)


def _command(found: Kernel, shared: Path) -> list[str]:
    arguments = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off nowatchdog no_timer_check tsc=reliable"
    return [
        *(_tool("setpriv", "util-linux"), "--pdeathsig", "KILL"),  # however its starter ends
        _tool("qemu-system-x86_64", "qemu-system-x86"),
        *(
            "-accel",
            "tcg,thread=multi,tb-size=512",
            "-machine",
            "q35",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            str(MEGABYTES),
        ),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(found.image), "-initrd", str(_first_files(found)), "-append", arguments),
        *("-serial", f"file:{shared / 'console'}"),
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-fsdev", f"local,id=shared,path={shared},security_model=none,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=shared,mount_tag=shared"),
    ]


def run(script: str, shared: Path, deadline_s: float = 300.0) -> Finished:
    """Boot, run a shell script, power off. ``shared`` is the guest's ``SHARED``. Raises GuestError.

    The test module is loaded, and ``$TRAFFICD`` is this checkout.
    """
    found = kernel()
    dcb = module(found)
    (shared / "init").write_text(f"modules={found.modules}\n{SECOND_INIT}")
    (shared / "job").write_text(f"insmod {dcb}\nexport TRAFFICD={ROOT}\ncd {ROOT}\n{script}\n")
    log = (shared / "qemu").open("wb")
    with (
        log,
        subprocess.Popen(_command(found, shared), stdin=subprocess.DEVNULL, stdout=log, stderr=log) as vm,
    ):
        try:
            vm.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise GuestError(
                f"the guest did not end within {deadline_s:g} s; {_last_words(shared)}"
            ) from None
        finally:
            vm.kill()
    if not (shared / "status").exists():
        raise GuestError(f"the guest ended before its job did; {_last_words(shared)}")
    return Finished(int((shared / "status").read_text()), (shared / "output").read_text(errors="replace"))


def _last_words(shared: Path) -> str:
    texts = [
        (shared / name).read_text(errors="replace")
        for name in ("qemu", "console", "output")
        if (shared / name).exists()
    ]
    return f"it said last: {' | '.join(t[-1500:] for t in texts)!r}"


def python(*arguments: str) -> str:
    """A line of a script: this checkout's interpreter with these arguments."""
    environment = f"PYTHONPATH={ROOT}:{ROOT}/agents:{ROOT}/topology PYTHONDONTWRITEBYTECODE=1"
    return " ".join(["env", environment, str(ROOT / ".venv" / "bin" / "python"), *arguments])


def pytest_line(arguments: Sequence[str]) -> str:
    return python("-m", "pytest", *arguments)
