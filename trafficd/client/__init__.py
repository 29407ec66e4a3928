"""What an inference scheduler imports: grpcio and protobuf, nothing else.

``connect`` gives a client for threads, ``aio.connect`` one for asyncio. See docs/schedulers.md.
"""

from trafficd.api.tls import TlsError
from trafficd.choice.request import (
    Abilities,
    Answer,
    EngineRef,
    EngineReport,
    Fallback,
    FallbackReason,
    ItemProblem,
    Lease,
    Leg,
    LegBytes,
    Plan,
    Request,
    Reservation,
    Side,
    Source,
    SourceNode,
)
from trafficd.choice.snapshot import LinkLayer, Marking, Role, Snapshot
from trafficd.client import aio
from trafficd.client.aio import AsyncClient
from trafficd.client.channel import credentials_from
from trafficd.client.local import Settings
from trafficd.client.sync import Client, connect

__all__ = [
    "Abilities",
    "Answer",
    "AsyncClient",
    "Client",
    "EngineRef",
    "EngineReport",
    "Fallback",
    "FallbackReason",
    "ItemProblem",
    "Lease",
    "Leg",
    "LegBytes",
    "LinkLayer",
    "Marking",
    "Plan",
    "Request",
    "Reservation",
    "Role",
    "Settings",
    "Side",
    "Snapshot",
    "Source",
    "SourceNode",
    "TlsError",
    "aio",
    "connect",
    "credentials_from",
]
