"""Libraries of collectives: NCCL, NVSHMEM, DeepEP. Sources: a repository, the commit that was read, and the file."""

from __future__ import annotations

from trafficd_topology.model import NicKind
from trafficd_topology.qos.applications.common import GLOBAL_TCLASS, NO_GLOBAL_TCLASS, RESTART, env
from trafficd_topology.qos.applications.words import (
    ENGINES,
    ETHERNET,
    INFINIBAND,
    Application,
    Caution,
    Covers,
    Flow,
    Form,
    Library,
    Setting,
    Takes,
)

_NCCL = "NVIDIA/nccl@5067397c "
_NCCL_GUIDE = _NCCL + "docs/userguide communicators.rst, Quality of Service"
_CONNECT = _NCCL + "src/transport/net_ib/connect.cc"
_GIN = _NCCL + "src/transport/net_ib/gin.cc, gdaki/gin_host_gdaki.cc"
_NVSHMEM = "NVIDIA/nvshmem@2d7d25f src/modules/transport/{ibrc,ibdevx,ibgda}, common/env_defs.h"
_NVSHMEM_45 = "https://github.com/NVIDIA/nvshmem/issues/45"
_DEEPEP = "deepseek-ai/DeepEP@dd758ca "
_DEEPEP_V2 = _DEEPEP + "README.md, deep_ep/buffers/elastic.py, csrc/kernels/backend/nccl.cu"
_DEEPEP_V1 = _DEEPEP + "docs/legacy.md"


def _unset(name: str, source: str, place: str = "") -> Setting:
    """What must not be set on InfiniBand."""
    return Setting(name, Form.UNSET, Takes.NOTHING, Covers.PROCESS, INFINIBAND, source, place)


def _both(name: str, form: Form, covers: Covers, source: str, place: str = "") -> tuple[Setting, ...]:
    """One name whose number is the SL on InfiniBand and the ToS byte on Ethernet."""
    return (
        Setting(name, form, Takes.SL, covers, INFINIBAND, source, place),
        Setting(name, form, Takes.TOS, covers, ETHERNET, source, place),
    )


NCCL = Application(
    Library.NCCL,
    "NCCL",
    (NicKind.COMPUTE,),
    flows=(
        Flow(
            "the sending rank writes (RDMA WRITE) and marks; the receiving rank takes its values over for what it "
            "sends back: set the same on every rank",
            _CONNECT,
            ENGINES,
            ENGINES,
            ENGINES,
        ),
    ),
    settings=(
        env("NCCL_IB_SL", Takes.SL, _CONNECT),
        _unset("NCCL_IB_TC", _GIN),
        _unset("NCCL_GIN_IB_TC", _GIN),
        env("NCCL_IB_TC", Takes.TOS, _CONNECT),
        *_both(
            "ncclConfig_t.trafficClass",
            Form.ARGUMENT,
            Covers.COMMUNICATOR,
            _NCCL_GUIDE,
            "instead of the environment, NCCL 2.26.2 and newer",
        ),
    ),
    cautions=(
        Caution(
            "The environment beats ncclConfig_t.trafficClass: leave the variables unset where communicators of one "
            "process are to run in different lanes.",
            _CONNECT,
        ),
        Caution(
            "The same integer is an SL on InfiniBand and a ToS byte on RoCE: never carry a number from one kind of "
            "fabric to the other.",
            _NCCL_GUIDE,
        ),
        Caution(
            "On InfiniBand GPU-initiated networking takes NCCL_GIN_IB_TC, else NCCL_IB_TC, for an SL where NCCL_IB_SL "
            "is not set.",
            _GIN,
            INFINIBAND,
        ),
        Caution(
            "NCCL_IB_FIFO_TC moves the small clear-to-send messages to a class of their own; unset, they travel with "
            "the data.",
            _CONNECT,
            ETHERNET,
        ),
        GLOBAL_TCLASS,
        RESTART,
    ),
)

NVSHMEM = Application(
    Library.NVSHMEM,
    "NVSHMEM",
    (NicKind.COMPUTE,),
    flows=(
        Flow("a put is an RDMA WRITE: the PE that puts marks", _NVSHMEM, ENGINES, ENGINES, ENGINES),
        Flow(
            "a get is an RDMA READ: the PE whose memory is read marks the data",
            _NVSHMEM,
            ENGINES,
            ENGINES,
            ENGINES,
        ),
    ),
    settings=(
        env("NVSHMEM_IB_SL", Takes.SL, _NVSHMEM),
        _unset("NVSHMEM_IB_TRAFFIC_CLASS", _NVSHMEM_45),
        env("NVSHMEM_IB_TRAFFIC_CLASS", Takes.TOS, _NVSHMEM),
    ),
    cautions=(
        Caution(
            "NVSHMEM_IB_TRAFFIC_CLASS makes NVSHMEM fail to start on InfiniBand (reported for IBGDA, 3.3.9).",
            _NVSHMEM_45,
            INFINIBAND,
        ),
        Caution(
            "On Ethernet NVSHMEM_IB_SL is the Ethernet priority (PCP), which counts only where ports trust PCP: leave it.",
            _NVSHMEM,
            ETHERNET,
        ),
        NO_GLOBAL_TCLASS,
        RESTART,
    ),
)

DEEPEP = Application(
    Library.DEEPEP,
    "DeepEP",
    (NicKind.COMPUTE,),
    flows=(
        Flow(
            "dispatch and combine are RDMA WRITEs: every rank marks what it sends",
            _DEEPEP_V2,
            ENGINES,
            ENGINES,
            ENGINES,
        ),
    ),
    settings=(
        *_both("EP_OVERRIDE_RDMA_SL", Form.ENV, Covers.PROCESS, _DEEPEP_V2, "V2"),
        *_both("sl_idx", Form.ARGUMENT, Covers.BUFFER, _DEEPEP_V2, "V2, instead of the environment"),
        _unset("NCCL_IB_TC", _GIN, "V2"),
        _unset("NCCL_GIN_IB_TC", _GIN, "V2"),
        env("NVSHMEM_IB_SL", Takes.SL, _DEEPEP_V1, "V1"),
        _unset("NVSHMEM_IB_TRAFFIC_CLASS", _NVSHMEM_45, "V1"),
        env("NVSHMEM_IB_TRAFFIC_CLASS", Takes.TOS, _NVSHMEM, "V1"),
    ),
    cautions=(
        Caution("V2 sets SL 3 unless told otherwise.", _DEEPEP_V2, INFINIBAND),
        Caution(
            "V2 hands sl_idx to NCCL's GPU-initiated networking, where NCCL_IB_SL, NCCL_GIN_IB_TC and NCCL_IB_TC come "
            "before it.",
            _GIN,
        ),
        Caution(
            "On RoCE V2's sl_idx is the ToS byte in spite of its name; its default of 3 is DSCP 0. DeepEP is tested on "
            "InfiniBand and only said to be compatible with RoCE.",
            _DEEPEP_V2,
            ETHERNET,
        ),
        Caution(
            "DeepEP advises lanes apart for expert parallelism and all else (V2), or for normal kernels, low-latency "
            "kernels and all else (V1).",
            _DEEPEP_V2,
        ),
        NO_GLOBAL_TCLASS,
        RESTART,
    ),
)
