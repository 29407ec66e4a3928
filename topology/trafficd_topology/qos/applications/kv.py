"""Libraries that move KV: UCX, NIXL, Mooncake, 3FS. Sources: a repository, the commit that was read, and the file."""

from __future__ import annotations

from trafficd_topology.model import NicKind, Role
from trafficd_topology.qos.applications.common import GLOBAL_TCLASS, RESTART, env
from trafficd_topology.qos.applications.words import (
    BOTH,
    ENGINES,
    ETHERNET,
    EVERYONE,
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

_UCX = "openucx/ucx@9466d104 src/uct/ib/base/ib_iface.c"
_UCX_AR = "openucx/ucx@9466d104 src/uct/ib/mlx5/ib_mlx5.c, AR_ENABLE"
_NIXL = "ai-dynamo/nixl src/plugins/ucx"
_VLLM = "vLLM docs, NixlConnector and MooncakeConnector"
_MOONCAKE = "kvcache-ai/Mooncake@3b5a5941 "
_CLASSIC = _MOONCAKE + "docs/source/design/transfer-engine/index.md, rdma_transport/rdma_endpoint.cpp"
_TENT = _MOONCAKE + "mooncake-transfer-engine/tent/src/transport/rdma/rdma_transport.cpp"
_TENT_PARAMS = _MOONCAKE + "mooncake-transfer-engine/tent/include/tent/transport/rdma/params.h"
_TENT_SELECT = _MOONCAKE + "mooncake-transfer-engine/tent/src/runtime/transport_selector.cpp"
_3FS = "deepseek-ai/3FS@e2cef82 "
_3FS_SOCKET = _3FS + "src/common/net/ib/IBSocket.h"
_3FS_CONNECT = _3FS + "src/common/net/ib/IBConnect.cc"
_3FS_CLIENT = _3FS + "src/client/storage/StorageClient.h, configs/hf3fs_fuse_main.toml"
_3FS_STORAGE = _3FS + "src/storage/service/StorageOperator.cc"

READS = ("kv-read", "kv-transfer")
WRITES = ("kv-write", "kv-offload")
GETS = (*READS, "kv-prefetch")
"""What is fetched from storage or a store, waited for or not."""

ONE_CLASS = Caution(
    "One value marks everything this library sends from the process: traffic of two classes needs two processes.",
    _UCX,
)

_UCX_SETTINGS = (env("UCX_IB_SL", Takes.SL, _UCX), env("UCX_IB_TRAFFIC_CLASS", Takes.TOS, _UCX))
_UCX_CAUTIONS = (
    Caution(
        "Reported to take effect in one direction only, that of the end which sets it (the mending is not merged): "
        "set it on both ends.",
        "https://github.com/openucx/ucx/issues/10325, pull 11309",
        ETHERNET,
    ),
    Caution(
        "Unset, UCX sends the port's global traffic class, else 106 (DSCP 26): such packets run in whatever lane "
        "claims DSCP 26, or in the default lane.",
        _UCX,
        ETHERNET,
    ),
    Caution(
        "UCX_IB_AR_ENABLE=yes fails where this SL has no adaptive routing, and =no where it has: use auto or try.",
        _UCX_AR,
        INFINIBAND,
    ),
    Caution("UCX_IB_REVERSE_SL (DC transport) follows UCX_IB_SL: leave it at auto.", _UCX, INFINIBAND),
    Caution(
        "On Ethernet UCX_IB_SL is the Ethernet priority (PCP), which counts only where ports trust PCP: leave it at "
        "auto, unless the process uses InfiniBand too.",
        _UCX,
        ETHERNET,
    ),
    ONE_CLASS,
    GLOBAL_TCLASS,
    RESTART,
)

UCX = Application(
    Library.UCX,
    "UCX",
    (),
    flows=(
        Flow(
            "puts and small messages are sent by the writer, large ones (rendezvous) written by it or read "
            "from its memory: on every path the process that owns the bytes marks",
            _UCX,
            EVERYONE,
            EVERYONE,
            EVERYONE,
            vendor=True,
        ),
    ),
    settings=_UCX_SETTINGS,
    cautions=_UCX_CAUTIONS,
)

NIXL = Application(
    Library.NIXL,
    "NIXL (UCX back-end)",
    (),
    flows=(
        Flow(
            "decode pulls KV from prefill (RDMA READ): the prefill process marks the data",
            _VLLM,
            (Role.PREFILL, Role.OTHER),
            (Role.DECODE, Role.OTHER),
            (Role.PREFILL, Role.OTHER),
            READS,
        ),
        Flow(
            "KV is read from storage (RDMA READ): the storage server marks the data",
            _NIXL,
            (Role.STORAGE,),
            ENGINES,
            (Role.STORAGE,),
            GETS,
            vendor=True,
        ),
        Flow("KV is written (RDMA WRITE): the writer marks", _NIXL, ENGINES, EVERYONE, ENGINES, WRITES),
    ),
    settings=_UCX_SETTINGS,
    cautions=(
        Caution(
            "NIXL has no marking of its own: its UCX back-end reads these from the environment of the process; for "
            "another back-end ask for that one (mooncake, 3fs).",
            _NIXL,
        ),
        *_UCX_CAUTIONS,
    ),
)

_POOLS = "the JSON that MC_TENT_CONF names, TENT only"

MOONCAKE = Application(
    Library.MOONCAKE,
    "Mooncake",
    (),
    flows=(
        Flow(
            "prefill pushes KV to decode (RDMA WRITE): the prefill process marks",
            _VLLM,
            (Role.PREFILL, Role.OTHER),
            (Role.DECODE, Role.OTHER),
            (Role.PREFILL, Role.OTHER),
            READS,
        ),
        Flow(
            "a get from the store is an RDMA READ: the process that owns the segment marks the data",
            _CLASSIC,
            EVERYONE,
            ENGINES,
            EVERYONE,
            GETS,
            vendor=True,
        ),
        Flow(
            "a put to the store is an RDMA WRITE: the writer marks",
            _CLASSIC,
            ENGINES,
            EVERYONE,
            ENGINES,
            WRITES,
        ),
    ),
    settings=(
        env("MC_IB_SL", Takes.SL, _CLASSIC),
        env("MC_IB_TC", Takes.TOS, _CLASSIC),
        Setting("policy, qp_pools", Form.FILE, Takes.POOLS, Covers.POOL, BOTH, _TENT, _POOLS),
    ),
    cautions=(
        Caution("The classic engine has one marking for the whole process.", _CLASSIC),
        Caution(
            "TENT: SL and traffic class belong to the QP pool; service_level and traffic_class of a policy have no "
            "effect.",
            _TENT_SELECT,
        ),
        Caution(
            "TENT: every policy must name a pool, those for files too: what names none is spread over all queue "
            "pairs, and so over all lanes.",
            _TENT_SELECT,
        ),
        Caution(
            "TENT: both peers must have the same pools in the same order with the same num_qp, because queue pairs are "
            "paired by position. Keep transports and num_qp as they suit you, and merge by hand.",
            _TENT_PARAMS,
        ),
        GLOBAL_TCLASS,
        RESTART,
    ),
)

_READ_SECTION = "hf3fs_fuse_main.toml [storage.net_client.io_worker.ibsocket]"
_WRITE_SECTION = "hf3fs_fuse_main.toml [storage.net_client_for_updates.io_worker.ibsocket]"
_FORWARD_SECTION = "storage_main.toml [server.forward_client.io_worker.ibsocket]"


def _socket(place: str, at: tuple[Role, ...], intents: tuple[str, ...]) -> tuple[Setting, ...]:
    """``sl`` and ``traffic_class`` of one kind of connection."""
    common = (place, at, intents)
    return (
        Setting("sl", Form.FILE, Takes.SL, Covers.CONNECTION, INFINIBAND, _3FS_SOCKET, *common),
        Setting("traffic_class", Form.FILE, Takes.TOS, Covers.CONNECTION, ETHERNET, _3FS_SOCKET, *common),
    )


THREE_FS = Application(
    Library.THREE_FS,
    "3FS",
    (NicKind.STORAGE,),
    flows=(
        Flow(
            "a read is written into the client's memory by the storage server (RDMA WRITE), which marks with the "
            "values that the client gave when it connected",
            _3FS_STORAGE,
            (Role.STORAGE,),
            ENGINES,
            ENGINES,
            READS,
        ),
        Flow(
            "a write is fetched from the client's memory by the storage server (RDMA READ): the client marks the data",
            _3FS_STORAGE,
            ENGINES,
            (Role.STORAGE,),
            ENGINES,
            WRITES,
        ),
        Flow(
            "a write goes on along its chain: the next storage server reads it (RDMA READ) from the one before, "
            "which connected and marks",
            _3FS_STORAGE,
            (Role.STORAGE,),
            (Role.STORAGE,),
            (Role.STORAGE,),
            WRITES,
        ),
    ),
    settings=(
        *_socket(_READ_SECTION, ENGINES, READS),
        Setting(
            "create_net_client_for_updates",
            Form.FILE,
            Takes.TRUE,
            Covers.CONNECTION,
            BOTH,
            _3FS_CLIENT,
            "hf3fs_fuse_main.toml [storage]",
            ENGINES,
            WRITES,
            unless=READS,
        ),
        *_socket(_WRITE_SECTION, ENGINES, WRITES),
        *_socket(_FORWARD_SECTION, (Role.STORAGE,), WRITES),
    ),
    cautions=(
        Caution(
            "The storage server takes sl and traffic_class over from the side that connects: its own [server.base] "
            "sections mark nothing that it serves.",
            _3FS_CONNECT,
        ),
        Caution(
            "Reads and writes of a client share one connection, and so one marking, unless "
            "create_net_client_for_updates is true; its prefetches always run with its reads.",
            _3FS_CLIENT,
        ),
        Caution(
            "traffic_class may be left out, and then is default_traffic_class of [ib_devices] in the launcher's file.",
            _3FS_SOCKET,
            ETHERNET,
        ),
        Caution(
            "The keys may be changed while 3FS runs, and count for connections made afterwards.", _3FS_SOCKET
        ),
        Caution("A program that embeds the 3FS client has these keys in its own file.", _3FS_CLIENT),
        GLOBAL_TCLASS,
        RESTART,
    ),
)
