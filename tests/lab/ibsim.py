"""A simulated InfiniBand subnet with a real subnet manager: a fat tree in ibsim, swept by OpenSM.

Every fabric has a socket name of its own, so that several run side by side. A simulator serves at most ten
clients at once, OpenSM included.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

UMAD2SIM = Path("/usr/lib/x86_64-linux-gnu/umad2sim/libumad2sim.so")
READY_SECONDS = 20.0
LINK = '# "x" lid 1 4xHDR'
_numbers = itertools.count(1)


class IbLabError(Exception):
    """The simulated fabric did not come up or did not answer."""


@dataclass(frozen=True, slots=True)
class FatTree:
    """Leaves of ``hcas_per_leaf`` adapters each, every leaf linked to every spine."""

    spines: int = 2
    leaves: int = 2
    hcas_per_leaf: int = 4

    @property
    def hcas(self) -> int:
        return self.leaves * self.hcas_per_leaf

    @property
    def ports(self) -> int:
        """Ports with a link, at both ends."""
        return 2 * (self.hcas + self.leaves * self.spines)

    def net(self) -> str:
        """The simulator's net file; its first node, Hca1, is where the subnet manager sits."""
        return "\n".join([*map(self._hca, range(self.hcas)), *self._leaves(), *self._spines()])

    def _hca(self, i: int) -> str:
        leaf, port = divmod(i, self.hcas_per_leaf)
        return f'Hca\t1 "Hca{i + 1}"\n[1]\t"Leaf{leaf + 1}"[{port + 1}]\t# lid 0 lmc 0 "x" lid 1 4xHDR\n'

    def _leaves(self) -> Iterator[str]:
        n = self.hcas_per_leaf
        for leaf in range(self.leaves):
            down = [f'[{p + 1}]\t"Hca{leaf * n + p + 1}"[1]\t{LINK}\n' for p in range(n)]
            up = [f'[{n + s + 1}]\t"Spine{s + 1}"[{leaf + 1}]\t{LINK}\n' for s in range(self.spines)]
            yield f'Switch\t{n + self.spines} "Leaf{leaf + 1}"\n' + "".join(down + up)

    def _spines(self) -> Iterator[str]:
        for s in range(self.spines):
            down = [
                f'[{leaf + 1}]\t"Leaf{leaf + 1}"[{self.hcas_per_leaf + s + 1}]\t{LINK}\n'
                for leaf in range(self.leaves)
            ]
            yield f'Switch\t{self.leaves} "Spine{s + 1}"\n' + "".join(down)


def conf_text(directory: Path, lines: str = "") -> str:
    """An opensm.conf that keeps to ``directory``; ``lines`` are the fabric's own."""
    return (
        f"# written for a simulated fabric\nlog_file {directory / 'opensm.log'}\nforce_log_flush TRUE\n"
        f"dump_files_dir {directory}\nsweep_interval 2\nqos_policy_file {directory / 'qos-policy.conf'}\n"
        f"partition_config_file {directory / 'partitions.conf'}\n{lines}"
    )


def wait_until(what: str, ready: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise IbLabError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


@dataclass(slots=True)
class IbLab:
    """A running fabric. Commands run on an adapter by name, such as ``Hca2``."""

    directory: Path
    tree: FatTree
    socket: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        return self.directory / "opensm.conf"

    @property
    def log(self) -> Path:
        return self.directory / "opensm.log"

    @property
    def opensm_pid(self) -> int:
        return self.processes["opensm"].pid

    def env(self, host: str) -> tuple[tuple[str, str], ...]:
        """What a program needs in its environment to sit on this adapter."""
        return (("IBSIM_SOCKNAME", self.socket), ("SIM_HOST", host), ("LD_PRELOAD", str(UMAD2SIM)))

    def run(self, host: str, *command: str) -> str:
        """The output of a command on an adapter. Raises IbLabError when it fails."""
        env = {**os.environ, **dict(self.env(host))}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise IbLabError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start_ibsim(self) -> None:
        (self.directory / "net").write_text(self.tree.net())
        env = {**os.environ, "IBSIM_SOCKNAME": self.socket}
        self._start("ibsim", ["ibsim", "-s", str(self.directory / "net")], env)
        self._wait("ibsim", lambda: "simulator ready" in (self.directory / "ibsim.out").read_text())

    def start_opensm(self, seconds: float = READY_SECONDS) -> None:
        """Start OpenSM on Hca1 and wait until its log says that the subnet is up."""
        env = {**os.environ, **dict(self.env("Hca1"))}
        env |= {"OSM_CACHE_DIR": str(self.directory), "OSM_TMP_DIR": str(self.directory)}
        before = self.log.read_text().count("SUBNET UP") if self.log.exists() else 0
        self._start("opensm", ["opensm", "-F", str(self.conf)], env)
        self._wait(
            "opensm", lambda: self.log.exists() and self.log.read_text().count("SUBNET UP") > before, seconds
        )

    def start_standby(self, host: str, lines: str = "", state: str = "STANDBY") -> Path:
        """A second OpenSM on another adapter, with files and a log of its own, once it reached this state.

        Returns its opensm.conf.
        """
        directory = self.directory / host
        directory.mkdir(exist_ok=True)
        conf = directory / "opensm.conf"
        if not conf.exists():
            polling = "sminfo_polling_timeout 500\npolling_retry_number 2\n"
            conf.write_text(conf_text(directory, f"{polling}{lines}"))
        env = {**os.environ, **dict(self.env(host))}
        env |= {"OSM_CACHE_DIR": str(directory), "OSM_TMP_DIR": str(directory)}
        self._start(host, ["opensm", "-F", str(conf)], env)
        log = directory / "opensm.log"
        self._wait(host, lambda: log.exists() and f"Entering {state}" in log.read_text())
        return conf

    def kill_opensm(self) -> None:
        """As in a crash."""
        process = self.processes.pop("opensm")
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def console(self, command: str) -> None:
        """A command for the simulator, such as ``Unlink "Spine1"[1]``."""
        if (pipe := self.processes["ibsim"].stdin) is not None:
            pipe.write(f"{command}\n".encode())
            pipe.flush()

    def stop_opensm(self) -> None:
        self._stop("opensm")

    def hang_up(self) -> None:
        """SIGHUP, then wait for the sweep."""
        before = self.log.read_text().count("SUBNET UP")
        self.processes["opensm"].send_signal(signal.SIGHUP)
        self._wait("opensm", lambda: self.log.read_text().count("SUBNET UP") > before)

    def close(self) -> None:
        """Stop OpenSM, then the simulator."""
        for name in sorted(self.processes, key=lambda n: (n == "ibsim", n)):
            self._stop(name)

    def _start(self, name: str, command: list[str], env: dict[str, str]) -> None:
        with (self.directory / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                env=env,
                cwd=self.directory,
                stdin=subprocess.PIPE,  # the simulator's console: at its end it would leave
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def _wait(self, name: str, ready: Callable[[], object], seconds: float = READY_SECONDS) -> None:
        def check() -> object:
            if self.processes[name].poll() is not None:
                raise IbLabError(f"{name} ended: {(self.directory / f'{name}.out').read_text()[-500:]}")
            return ready()

        wait_until(f"{name} in {self.directory}", check, seconds)

    def _stop(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


@contextmanager
def ib_lab(lines: str = "", tree: FatTree | None = None) -> Iterator[IbLab]:
    """A fabric that is up, with these lines in its opensm.conf; stopped and removed at the end.

    Meanwhile the caller stands in its directory: whatever sits on an adapter keeps a tree ``sys-PID`` where it was
    started, and leaves it there when it is killed.
    """
    with TemporaryDirectory(prefix="trafficd-ib-") as name:
        lab = IbLab(Path(name), tree or FatTree(), f"tfd-ib-{os.getpid()}-{next(_numbers)}")
        lab.conf.write_text(conf_text(lab.directory, lines))
        try:
            lab.start_ibsim()
            lab.start_opensm()
            with chdir(lab.directory):
                yield lab
        finally:
            lab.close()
