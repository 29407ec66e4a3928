"""The main job, on real parts: one policy to real queues, real counters back, a path out. Prints one table.

``KEEP=1`` leaves the cluster up and says where to look. Without the rights of root it runs in user, mount and network
namespaces of its own; where the host forbids that, it says so and shows the loop on in-memory devices instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from demo import memory, story
from demo.infiniband import LegError
from demo.table import Row, render
from demo.workers import WorkerError
from lab.cluster import ClusterError, cluster
from lab.netns import LabError, delete

INSIDE = "TRAFFICD_DEMO_INSIDE"


def may_make_namespaces() -> bool:
    """Root of a container may well be forbidden to."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return False
    probe = [unshare, "--mount", "--net", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def own_namespaces() -> str:
    """Run this program again as root of namespaces of its own; returns the reason when that is forbidden."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return "unshare (package util-linux) is missing"
    prefix = [unshare, "--user", "--map-root-user", "--mount", "--net", "sh", "-c"]
    # ip keeps its namespaces below /run, which is the host's; the InfiniBand leg talks over the loopback.
    room = "mount -t tmpfs tmpfs /run && ip link set lo up"
    probe = subprocess.run([*prefix, room], capture_output=True, text=True, check=False)
    if probe.returncode:
        return (probe.stderr.strip().splitlines() or ["user namespaces are forbidden"])[0]
    inside = f'{room} && exec "$0" "$@"'
    # In place of this process, so that Ctrl-C ends one program and that one cleans up.
    command = [*prefix, inside, sys.executable, __file__, *sys.argv[1:]]
    return os.execve(unshare, command, {**os.environ, INSIDE: "1"})


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def where_to_look(directory: Path, prefix: str) -> str:
    enter = f"nsenter -t {os.getpid()} -U -m -n --preserve-credentials " if INSIDE in os.environ else ""
    return f"""
Kept. Look around, then end it with Ctrl-C:
  trafficd status --controller unix:{directory}/controller.sock
  {enter}ip netns exec {prefix}p1 tc -s class show dev c0
  {enter}ip netns exec {prefix}ctl curl -s http://127.0.0.1:7601/metrics
  {enter}ip netns exec {prefix}p1 curl -s http://127.0.0.1:7602/metrics
  edit {directory}/policy.yaml; logs are {directory}/*.log"""


def on_namespaces(keep: bool) -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="trafficd-demo-"))
    with cluster(directory, story.FIRST_POLICY) as up:
        rows = story.tell(up, say)
        if keep:
            say(render(rows))
            say(where_to_look(directory, up.lab.prefix))
            wait_for_ctrl_c()
    shutil.rmtree(directory, ignore_errors=True)
    return rows


def wait_for_ctrl_c() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("")


def in_memory(reason: str) -> list[Row]:
    say(f"No network namespaces here ({reason}): showing the loop on in-memory devices, without traffic.")
    return memory.tell(say)


def main() -> int:
    keep = os.environ.get("KEEP", "") not in ("", "0")
    start = time.monotonic()
    # Debian gives only root these, and tc, ethtool and opensm are there.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    try:
        if INSIDE in os.environ or may_make_namespaces():
            rows = on_namespaces(keep)
        else:
            keep, rows = False, in_memory(own_namespaces())
    except (LabError, ClusterError, WorkerError, LegError) as e:
        sys.stderr.write(f"the demo failed: {e}\n")
        delete(f"tfd{os.getpid()}-")
        return 1
    except KeyboardInterrupt:
        return 130
    if not keep:
        say(render(rows))
    say(f"\n{time.monotonic() - start:.0f} s in all.")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
