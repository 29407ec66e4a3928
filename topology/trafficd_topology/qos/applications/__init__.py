"""The one table of what marks packets, library by library. Words: ``words``; rendering: ``render``."""

from __future__ import annotations

from trafficd_topology.qos.applications.collectives import DEEPEP, NCCL, NVSHMEM
from trafficd_topology.qos.applications.kv import MOONCAKE, NIXL, THREE_FS, UCX
from trafficd_topology.qos.applications.words import Application, Library

APPLICATIONS: tuple[Application, ...] = (NCCL, NVSHMEM, DEEPEP, UCX, NIXL, MOONCAKE, THREE_FS)


def application(library: Library) -> Application:
    return next(a for a in APPLICATIONS if a.library is library)
