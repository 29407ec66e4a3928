"""The main job, on real parts: one policy to real queues, real counters back, a path out. Prints one table.

``KEEP=1`` leaves the cluster up and says where to look. Without root it runs in a user and mount namespace of its own;
where the host forbids that, it says so and shows the loop on in-memory devices instead.
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


def own_namespaces() -> str:
    """Run this program again as root of namespaces of its own; returns the reason when that is forbidden."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return "unshare (package util-linux) is missing"
    prefix = [unshare, "--user", "--map-root-user", "--mount", "--net", "sh", "-c"]
    probe = subprocess.run(
        [*prefix, "mount -t tmpfs tmpfs /run"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        return (probe.stderr.strip().splitlines() or ["user namespaces are forbidden"])[0]
    inside = 'mount -t tmpfs tmpfs /run && exec "$0" "$@"'
    environment = {**os.environ, INSIDE: "1"}
    done = subprocess.run(
        [*prefix, inside, sys.executable, __file__, *sys.argv[1:]], env=environment, check=False
    )
    sys.exit(done.returncode)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def where_to_look(directory: Path, prefix: str) -> str:
    return f"""
Kept. Look around, then end it with Ctrl-C:
  trafficd status --controller unix:{directory}/controller.sock
  ip netns exec {prefix}p1 tc -s class show dev c0
  ip netns exec {prefix}ctl curl -s http://127.0.0.1:7601/metrics
  ip netns exec {prefix}p1 curl -s http://127.0.0.1:7602/metrics
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


def main() -> int:
    keep = os.environ.get("KEEP", "") not in ("", "0")
    start = time.monotonic()
    if os.geteuid() != 0 and INSIDE not in os.environ:
        say(
            f"No network namespaces here ({own_namespaces()}): showing the loop on in-memory devices, without traffic."
        )
        say(render(memory.tell(say)))
        return 0
    try:
        rows = on_namespaces(keep)
    except (LabError, ClusterError, WorkerError, LegError) as e:
        sys.stderr.write(f"the demo failed: {e}\n")
        delete(f"tfd{os.getpid()}-")
        return 1
    if not keep:
        say(render(rows))
    say(f"\n{time.monotonic() - start:.0f} s in all.")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
