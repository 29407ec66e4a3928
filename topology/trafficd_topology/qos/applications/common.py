"""What several libraries have in common: their variables, and what is true of queue pairs of any library."""

from __future__ import annotations

from trafficd_topology.qos.applications.words import (
    ETHERNET,
    INFINIBAND,
    Caution,
    Covers,
    Form,
    Setting,
    Takes,
)

_VERBS = "rdma-core ibv_modify_qp(3)"
_TCLASS = "https://github.com/kvcache-ai/Mooncake/issues/1699"

RESTART = Caution(
    "A marking is fixed when a queue pair goes from INIT to RTR: restart the process, or make it connect again; live "
    "connections stay in the lane they have.",
    _VERBS,
)
GLOBAL_TCLASS = Caution(
    "On mlx5 a global traffic class overrides what this library sets: /sys/class/infiniband/<device>/tc/1/"
    "traffic_class must name none, or this very byte.",
    _TCLASS,
    ETHERNET,
)
NO_GLOBAL_TCLASS = Caution(
    "Its GPU-initiated and DevX queue pairs are programmed past the kernel: a global traffic class in "
    "/sys/class/infiniband/<device>/tc neither overrides these settings nor replaces them.",
    _TCLASS,
    ETHERNET,
)


def env(name: str, takes: Takes, source: str, place: str = "") -> Setting:
    """A variable: on InfiniBand where it takes an SL, else on Ethernet."""
    layers = INFINIBAND if takes is Takes.SL else ETHERNET
    return Setting(name, Form.ENV, takes, Covers.PROCESS, layers, source, place)
