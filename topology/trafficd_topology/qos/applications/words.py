"""How an application is told to mark its packets: the words of the table.

Whoever sends the bytes marks them: the data of an RDMA READ carries the responder's marking, that of a WRITE the
writer's (IBA volume 1, chapter 9: a response is sent by the responder's own queue pair). A marking is part of a queue
pair's address vector, which is set when it goes from INIT to RTR (ibv_modify_qp(3)).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trafficd_topology.model import LinkLayer, NicKind, Role

ETHERNET = (LinkLayer.ETHERNET,)
INFINIBAND = (LinkLayer.INFINIBAND,)
BOTH = (LinkLayer.INFINIBAND, LinkLayer.ETHERNET)
ENGINES = (Role.PREFILL, Role.DECODE, Role.OTHER)
EVERYONE = (*ENGINES, Role.STORAGE)


class Library(StrEnum):
    """What ``trafficd marking --for`` knows."""

    NCCL = "nccl"
    NVSHMEM = "nvshmem"
    DEEPEP = "deepep"
    UCX = "ucx"
    NIXL = "nixl"
    MOONCAKE = "mooncake"
    THREE_FS = "3fs"


class Form(StrEnum):
    """How a setting is made. ``unset``: a variable that must not be in the environment."""

    ENV = "env"
    UNSET = "unset"
    ARGUMENT = "argument"
    FILE = "file"


class Takes(StrEnum):
    """What a setting's value is: the service level, the ToS or traffic class byte (DSCP << 2), or something else."""

    SL = "sl"
    TOS = "tos"
    TRUE = "true"
    NOTHING = "nothing"
    POOLS = "pools"


class Covers(StrEnum):
    """What one value marks."""

    PROCESS = "process"
    COMMUNICATOR = "communicator"
    BUFFER = "buffer"
    CONNECTION = "connection"
    POOL = "QP pool"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to set. ``place`` is the file and section of a FILE, or the version it is for.

    ``at``: roles of the hosts where it is set. ``intents``: set for classes with one of these, empty is all;
    ``unless``: and with none of these.
    """

    name: str
    form: Form
    takes: Takes
    covers: Covers
    layers: tuple[LinkLayer, ...]
    source: str
    place: str = ""
    at: tuple[Role, ...] = EVERYONE
    intents: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """Data that the library moves: what it is, who sends it, and where the marking of that data is set.

    ``why`` says who marks, and by which operation. ``vendor``: the sender may be a storage appliance.
    """

    why: str
    source: str
    sent_by: tuple[Role, ...]
    received_by: tuple[Role, ...]
    set_at: tuple[Role, ...]
    intents: tuple[str, ...] = ()
    vendor: bool = False


@dataclass(frozen=True, slots=True)
class Caution:
    """What to know before setting it, and where that was read."""

    text: str
    source: str
    layers: tuple[LinkLayer, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Application:
    """One library. ``kinds``: the NICs it uses; empty is all of them."""

    library: Library
    title: str
    kinds: tuple[NicKind, ...]
    flows: tuple[Flow, ...]
    settings: tuple[Setting, ...]
    cautions: tuple[Caution, ...]
