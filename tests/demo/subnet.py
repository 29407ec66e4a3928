"""``make lab-ib``: a simulated InfiniBand fat tree with OpenSM, an agent and a controller, until Ctrl-C.

make lab-ib SPINES=4 LEAVES=8 ADAPTERS=8      # adapters per leaf
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo.infiniband import POLICY, LegError, Plane, plane
from lab.ibbench import FOUR_VLS
from lab.ibsim import FatTree, IbLab, IbLabError, ib_lab

BIN = Path(sys.executable).parent


def _guide(lab: IbLab, up: Plane) -> str:
    tree, d = lab.tree, lab.directory
    env = " ".join(f"{k}={v}" for k, v in lab.env("Hca3"))
    where = f"--controller {up.target}"
    return f"""\
{tree.hcas} adapters, {tree.leaves + tree.spines} switches, {tree.ports} ports with a link. Everything is in {d}.

  the policy, put in force when it is saved   {d}/policy.yaml
  how it stands                               {BIN}/trafficd status {where}
  a table of a port, read by smpquery         {env} smpquery vlarb 2 1
  SL2VL of a pair of ports                    {env} smpquery sl2vl 2 1
  overwrite a table (the agent repairs it)    {env} PYTHONPATH={os.environ.get("PYTHONPATH", "")} \\
                                              {sys.executable} {Path(__file__).parents[1]}/lab/smp_set.py 2 0x18 0x30002 000a
  OpenSM's file and log                       {d}/opensm.conf {d}/opensm.log
  logs of controller and agent                {d}/controller.log {d}/agent.log

Ctrl-C ends all of it.
"""


def _ended() -> threading.Event:
    """Set by SIGINT and SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def serve(tree: FatTree) -> None:
    """Bring it up, say where to look, and take it down when told. Raises LegError, IbLabError."""
    ended = _ended()
    with ib_lab(FOUR_VLS, tree) as lab, plane(lab) as up:
        up.wait("the agent beside OpenSM connects", up.connected)
        up.write_policy(POLICY)
        up.wait("the lanes are verified", up.fabric)
        sys.stdout.write(_guide(lab, up))
        sys.stdout.flush()
        while not ended.wait(1.0):
            up.check()
    sys.stdout.write("ended\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--spines", type=int, default=2)
    parser.add_argument("--leaves", type=int, default=2)
    parser.add_argument("--adapters", type=int, default=4, help="of each leaf")
    args = parser.parse_args()
    if min(args.spines, args.leaves, args.adapters) < 1 or args.leaves * args.adapters < 4:
        parser.error("a fat tree has at least one spine and one leaf, and this one four adapters")
    try:
        serve(FatTree(args.spines, args.leaves, args.adapters))
    except (LegError, IbLabError) as e:
        sys.stderr.write(f"{e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
