"""Counters as they come over the wire -> columns and samples."""

from __future__ import annotations

from trafficd.api.v1 import agent_pb2
from trafficd_topology.counters import Column, CounterKind, Direction, Sample

_DIRECTIONS = {
    agent_pb2.DIRECTION_TRANSMIT: Direction.TRANSMIT,
    agent_pb2.DIRECTION_RECEIVE: Direction.RECEIVE,
}
_KINDS = {
    agent_pb2.COUNTER_KIND_WRAP64: CounterKind.WRAP64,
    agent_pb2.COUNTER_KIND_WRAP32: CounterKind.WRAP32,
    agent_pb2.COUNTER_KIND_SATURATE32: CounterKind.SATURATE32,
    agent_pb2.COUNTER_KIND_GAUGE: CounterKind.GAUGE,
}


def column(message: agent_pb2.Column) -> Column:
    """A kind that this version does not know is taken as a gauge: shown as it is, never made a rate."""
    return Column(
        message.port,
        message.quantity,
        _DIRECTIONS.get(message.direction),
        _KINDS.get(message.kind, CounterKind.GAUGE),
        message.lane_id if message.HasField("lane_id") else None,
        message.priority if message.HasField("priority") else None,
    )


def sample(message: agent_pb2.Sample) -> Sample:
    """Values whose bit of ``missing`` is set (least significant bit of the first byte first) become None."""
    missing = message.missing
    known = len(missing) * 8
    values = tuple(
        None if i < known and missing[i >> 3] >> (i & 7) & 1 else value
        for i, value in enumerate(message.values)
    )
    return Sample(message.measured_unix_ns, message.measured_monotonic_ns, values)
