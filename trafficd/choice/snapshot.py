"""What a choice is made from: one immutable picture of nodes, NICs, their load and the paths between them.

A ``Snapshot`` has a ``Layout`` (what changes only with the fabric or a policy: names, pairs, paths, and the indexes
made of them) and one ``NicState`` per NIC of the layout (what every telemetry sample changes). Layouts are
reused from snapshot to snapshot, so that a new sample costs no new index.

Enumerations have the numbers of ``trafficd.api.v1``. Rates are bits per second where a name ends in ``bps`` and
bytes per second where it ends in ``bytes_per_s``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from trafficd.choice.settings import DEFAULTS, PathSettings


class Role(IntEnum):
    """What a node or an engine does."""

    UNSPECIFIED = 0
    PREFILL = 1
    DECODE = 2
    STORAGE = 3
    OTHER = 4


class NicKind(IntEnum):
    """East-west (compute) or north-south (storage)."""

    UNSPECIFIED = 0
    COMPUTE = 1
    STORAGE = 2


class LinkLayer(IntEnum):
    UNSPECIFIED = 0
    ETHERNET = 1
    INFINIBAND = 2


@dataclass(frozen=True, slots=True)
class Node:
    """A host. ``pool`` is the storage pool it serves, empty for none."""

    name: str
    role: Role = Role.OTHER
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC port; ``node`` is an index into ``Layout.nodes``, ``gpu`` the paired GPU's index on that node."""

    node: int
    name: str
    kind: NicKind
    link_layer: LinkLayer = LinkLayer.ETHERNET
    gpu: int | None = None
    rail: int | None = None
    kv_lane_id: int = 0


class NicState(NamedTuple):
    """How one NIC stands. ``measured_unix_ns`` is when its telemetry was taken, by the controller's clock."""

    rate_bps: int
    kv_available_bps: int
    """Rate less what higher lanes were measured to use, and never below the KV lane's guarantee."""
    kv_bytes_per_s: int = 0
    """KV measured, the busier of the two directions."""
    outstanding_bytes: int = 0
    """KV bytes known to be still to come: reported queues and reservations."""
    measured_unix_ns: int | None = None
    """None: there is no telemetry."""
    up: bool = True
    learned: float = 1.0
    """Its rate as seen in reads that ended, over what it claims."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """NICs that the fabric cannot tell apart: all on one switch. ``nics`` are indexes into ``Layout.nics``."""

    switch: str
    nics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """Between two attachments (indexes), the same both ways.

    ``capacity_bps`` is that of the narrowest cut of the equal-cost set, 0 where nothing between them limits.
    """

    start: int
    end: int
    hops: int
    equal_cost_paths: int
    capacity_bps: int
    bottleneck: str


@dataclass(frozen=True, slots=True)
class Marking:
    """How a class's packets are marked on one link layer, and the lane that leads to. As in the API."""

    traffic_class: str
    link_layer: LinkLayer
    lane_id: int
    service_levels: tuple[int, ...] = ()
    dscps: tuple[int, ...] = ()
    tos: int | None = None
    so_priority: int | None = None
    intents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engine:
    """An inference engine as last reported (None: it never said)."""

    node: str
    rank: int
    role: Role = Role.UNSPECIFIED
    gpu: int | None = None
    read_queue_bytes: int | None = None
    """The disk-read queue of its whole node."""
    unfinished_tokens: int | None = None
    unfinished_sequences: int | None = None
    free_hbm_bytes: int | None = None
    free_dram_bytes: int | None = None
    tokens_per_s: int | None = None
    """Tokens its GPU processes per second, as profiled by its owner."""


@dataclass(frozen=True, slots=True)
class Index:
    """Look-ups made of a layout; every one O(1)."""

    node_ids: dict[str, int]
    nic_ids: dict[str, int]
    """By ``node/nic``."""
    nic_names: tuple[str, ...]
    readers: tuple[tuple[int, ...], ...]
    """Per node: its storage NICs, or its compute NICs when it has none."""
    movers: tuple[tuple[int, ...], ...]
    """Per node: the NICs that carry KV between engines: its compute NICs, or its storage NICs when it has none."""
    attachment_of: tuple[int, ...]
    """Per NIC; -1 without one."""
    paths: dict[tuple[int, int], Path]
    pools: dict[str, tuple[int, ...]]
    """NICs that serve a pool."""
    roles: dict[Role, tuple[int, ...]]
    """Nodes of a role."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The fabric as far as a choice sees it. Equal layouts have equal indexes."""

    nodes: tuple[Node, ...]
    nics: tuple[Nic, ...]
    attachments: tuple[Attachment, ...] = ()
    paths: tuple[Path, ...] = ()
    index: Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _index(self))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``states`` is parallel to ``layout.nics``. ``valid_for_ms``: telemetry older than this is stale."""

    version: str
    built_unix_ns: int
    valid_for_ms: int
    layout: Layout
    states: tuple[NicState, ...]
    engines: tuple[Engine, ...] = ()
    markings: tuple[Marking, ...] = ()
    settings: PathSettings = DEFAULTS


def _index(layout: Layout) -> Index:
    names = tuple(f"{layout.nodes[n.node].name}/{n.name}" for n in layout.nics)
    storage = _by_node(layout, NicKind.STORAGE)
    compute = _by_node(layout, NicKind.COMPUTE)
    readers = tuple(s or c for s, c in zip(storage, compute, strict=True))
    movers = tuple(c or s for s, c in zip(storage, compute, strict=True))
    return Index(
        node_ids={n.name: i for i, n in enumerate(layout.nodes)},
        nic_ids={name: i for i, name in enumerate(names)},
        nic_names=names,
        readers=readers,
        movers=movers,
        attachment_of=_attachment_of(layout),
        paths={pair: p for p in layout.paths for pair in ((p.start, p.end), (p.end, p.start))},
        pools=_pools(layout, readers),
        roles={r: tuple(i for i, n in enumerate(layout.nodes) if n.role is r) for r in Role},
    )


def _by_node(layout: Layout, kind: NicKind) -> tuple[tuple[int, ...], ...]:
    rows: list[list[int]] = [[] for _ in layout.nodes]
    for i, nic in enumerate(layout.nics):
        if nic.kind is kind:
            rows[nic.node].append(i)
    return tuple(tuple(row) for row in rows)


def _attachment_of(layout: Layout) -> tuple[int, ...]:
    found = [-1] * len(layout.nics)
    for a, attachment in enumerate(layout.attachments):
        for i in attachment.nics:
            found[i] = a
    return tuple(found)


def _pools(layout: Layout, readers: tuple[tuple[int, ...], ...]) -> dict[str, tuple[int, ...]]:
    pools: dict[str, tuple[int, ...]] = {}
    for node, nics in zip(layout.nodes, readers, strict=True):
        if node.pool:
            pools[node.pool] = pools.get(node.pool, ()) + nics
    return pools
