"""How a fabric's subnet manager is reached: what the agent's configuration says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpensmOptions:
    """One fabric. The defaults are those of a host on which a distribution's OpenSM runs. Times are in seconds."""

    fabric: str = "infiniband"
    """Name of the fabric, as policies and the fabric file use it."""
    conf: str = "/etc/opensm/opensm.conf"
    """The file that OpenSM reads; its process is found by it."""
    render_only: bool = False
    """The subnet manager is not ours (UFM, a switch's own): ports are read and compared, ``conf`` is its exported
    configuration or nothing, and nothing is ever written."""
    pid_file: str | None = None
    """Names OpenSM's process where its command line does not (a container, a wrapper)."""
    log: str | None = None
    """None: what the command line of OpenSM or ``log_file`` in its configuration says."""
    device: str | None = None
    """RDMA device whose umad the read-back goes through, such as ``mlx5_0``; None: the first active one."""
    device_port: int = 0
    """0: the first active one."""
    helper_env: tuple[str, ...] = ()
    """``NAME=value`` words for the process that sends packets, such as LD_PRELOAD of a simulator's library."""
    packets_in_flight: int = 8
    """Questions on the wire at once; they go to different nodes where they can."""
    full_sweep_seconds: float = 300.0
    """How often SL2VL of every pair of ports of every switch is read. In between, one pair for each out port is, another
    one each time; all else is read each time."""
    counters: bool = True
    """Whether the counters of switch ports are read, with every sample of telemetry."""
    path_samples: int = 2
    """How many pairs of ports are asked for the SL of each class."""
    answer_seconds: float = 30.0
    """How long one reading of the whole subnet may take."""
    sweep_seconds: float = 30.0
    """How long OpenSM may take to carry out a change, from the signal."""
    settle_seconds: float = 3.0
    """How long ports may still differ after a sweep before they count as drifted."""
