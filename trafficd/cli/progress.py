"""How far a change is, line by line on standard error, until every port stands as it is wanted."""

from __future__ import annotations

import argparse
import time

import grpc

from trafficd.api.v1 import agent_pb2, operation_pb2, policy_pb2, policy_pb2_grpc, qos_pb2
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import complain
from trafficd.cli.rollout import HALTED
from trafficd.cli.rpc import call

LOOK_S = 0.5


def add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="wait so long until every port is ready, and say on standard error how far it is; exit 1 when "
        "it is halted or not ready by then",
    )


def follow(channel: grpc.Channel, generation: agent_pb2.Generation, args: argparse.Namespace) -> None:
    """Until the generation, or a later one, is ready everywhere. Raises CliError."""
    stub, end, shown = policy_pb2_grpc.PolicyServiceStub(channel), time.monotonic() + args.wait, ""
    while True:
        status = call(stub.GetStatus, policy_pb2.GetStatusRequest(), args)
        if (text := _line(status)) != shown:
            complain(text)
            shown = text
        if status.HasField("rollout") and status.rollout.phase == HALTED:
            raise CliError(Exit.FINDINGS, "the rollout is halted: see trafficd rollout status")
        if not status.HasField("rollout") and _there(status, generation) and not _left(status):
            return
        if time.monotonic() >= end:
            raise CliError(Exit.FINDINGS, f"not ready within {args.wait:g} seconds: see trafficd status")
        time.sleep(LOOK_S)


def _there(status: policy_pb2.GetStatusResponse, generation: agent_pb2.Generation) -> bool:
    now = status.generation
    return (now.epoch, now.number) >= (generation.epoch, generation.number)


def _left(status: policy_pb2.GetStatusResponse) -> list[qos_pb2.Condition]:
    return [
        c
        for c in status.conditions
        if c.type == qos_pb2.CONDITION_TYPE_READY and c.status != qos_pb2.CONDITION_STATUS_TRUE
    ]


def _line(status: policy_pb2.GetStatusResponse) -> str:
    ready = sum(
        any(
            c.type == qos_pb2.CONDITION_TYPE_READY and c.status == qos_pb2.CONDITION_STATUS_TRUE
            for c in s.conditions
        )
        for n in status.nodes
        for s in n.scopes
    )
    total = sum(len(n.scopes) for n in status.nodes)
    why = "".join(f": {c.message or c.reason}" for c in _left(status))
    return f"{_wave(status)}{ready} of {total} ports ready{why}"


def _wave(status: policy_pb2.GetStatusResponse) -> str:
    if not status.HasField("rollout"):
        return ""
    r = status.rollout
    phase = operation_pb2.RolloutPhase.Name(r.phase).rpartition("_")[2].lower()
    nodes, verified = sum(len(w.nodes) for w in r.waves), sum(w.verified for w in r.waves)
    return f"wave {r.wave} of {len(r.waves)} {phase}, {verified} of {nodes} nodes verified; "
