"""``trafficd status``: policies, nodes, scopes, differences, and what an operator should know."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from trafficd.api.v1 import agent_pb2, operation_pb2, policy_pb2, policy_pb2_grpc, qos_pb2
from trafficd.cli.exits import Exit
from trafficd.cli.output import add_output, plain, say, say_json, table, word
from trafficd.cli.policies import problems_text
from trafficd.cli.rollout import progress, when
from trafficd.cli.rpc import add_controller, call, channel

MAX_DIFFERENCES = 50


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "status",
        help="what holds, where, and what differs",
        description="Shows policies, nodes, scopes and differences. Exits 1 unless everything is ready and the "
        "newest policy and fabric were accepted.",
    )
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when all is ready, 1 when not."""
    with channel(args) as opened:
        stub = policy_pb2_grpc.PolicyServiceStub(opened)
        status = call(stub.GetStatus, policy_pb2.GetStatusRequest(), args)
    if args.output == "json":
        say_json(plain(status))
    else:
        say("\n\n".join(_texts(status)))
    return Exit.OK if ready(status) and not status.rejected else Exit.FINDINGS


def ready(status: policy_pb2.GetStatusResponse) -> bool:
    """The overall Ready condition is True."""
    return any(
        c.type == qos_pb2.CONDITION_TYPE_READY and c.status == qos_pb2.CONDITION_STATUS_TRUE
        for c in status.conditions
    )


def _texts(status: policy_pb2.GetStatusResponse) -> Iterator[str]:
    number = f"{status.generation.epoch}.{status.generation.number}"
    yield f"controller {status.controller_uuid} (trafficd {status.controller_version}), generation {number}"
    if status.pause.paused:
        yield _paused(status.pause)
    if status.HasField("rollout"):
        yield f"rollout {progress(status.rollout)}"
    rows = [
        (p.name, word(qos_pb2.Mode.Name(p.mode)), p.owner, len(p.ports), p.digest[:12])
        for p in status.policies
    ]
    yield table(("POLICY", "MODE", "OWNER", "PORTS", "DIGEST"), rows) if rows else "no policies"
    yield _nodes(status) if status.nodes else "no agents have connected"
    scopes = [(node.node, s) for node in status.nodes for s in node.scopes]
    if scopes:
        yield _scopes(scopes)
    if differences := _differences(scopes):
        yield differences
    yield _conditions(status)
    if status.rejected:
        yield "refused, and what was there before stays in force:\n" + problems_text(status.rejected, "  ")
    if status.notes:
        yield "notes:\n" + "\n".join(f"  {note}" for note in status.notes)


def _paused(pause: operation_pb2.PauseState) -> str:
    by = f" by {pause.by}" if pause.by else ""
    return f"paused since {when(pause.since_unix_ns) or 'an unknown time'}{by}: {pause.reason or 'no reason given'}"


def _nodes(status: policy_pb2.GetStatusResponse) -> str:
    rows = [
        (
            n.node,
            "connected" if n.connected else "gone",
            n.agent_version,
            f"{n.acknowledged.epoch}.{n.acknowledged.number}" if n.HasField("acknowledged") else "",
            len(n.scopes),
            f"{n.telemetry_age_seconds:.1f} s" if n.HasField("telemetry_age_seconds") else "",
            f"{n.clock_offset_seconds:+.3f} s",
        )
        for n in status.nodes
    ]
    return table(
        ("NODE", "AGENT", "VERSION", "ACKNOWLEDGED", "SCOPES", "TELEMETRY AGE", "CLOCK OFFSET"), rows
    )


def _said(scope: agent_pb2.ScopeStatus, kind: int) -> str:
    return next(
        (word(qos_pb2.ConditionStatus.Name(c.status)) for c in scope.conditions if c.type == kind), ""
    )


def _why(scope: agent_pb2.ScopeStatus) -> str:
    """The message of the first condition that is not as it should be, else what is foreign or unreadable there."""
    for c in scope.conditions:
        good = c.type == qos_pb2.CONDITION_TYPE_DRIFTED
        wanted = qos_pb2.CONDITION_STATUS_FALSE if good else qos_pb2.CONDITION_STATUS_TRUE
        if c.status != wanted and (c.message or c.reason):
            return c.message or c.reason
    if scope.foreign:
        return scope.foreign[0]
    return f"cannot be read back: {', '.join(scope.unreadable)}" if scope.unreadable else ""


def _scopes(scopes: list[tuple[str, agent_pb2.ScopeStatus]]) -> str:
    kinds = (
        qos_pb2.CONDITION_TYPE_APPLIED,
        qos_pb2.CONDITION_TYPE_VERIFIED,
        qos_pb2.CONDITION_TYPE_DRIFTED,
        qos_pb2.CONDITION_TYPE_READY,
    )
    rows = [
        (
            f"{node}/{s.name}",
            s.driver,
            word(qos_pb2.Mode.Name(s.mode)),
            f"{s.observed.epoch}.{s.observed.number}",
            *(_said(s, kind) for kind in kinds),
            s.drifts,
            s.repairs,
            _why(s),
        )
        for node, s in scopes
    ]
    head = (
        "SCOPE",
        "DRIVER",
        "MODE",
        "OBSERVED",
        "APPLIED",
        "VERIFIED",
        "DRIFTED",
        "READY",
        "DRIFTS",
        "REPAIRS",
        "WHY",
    )
    return table(head, rows)


def _differences(scopes: list[tuple[str, agent_pb2.ScopeStatus]]) -> str:
    rows = [(f"{node}/{s.name}", d.path, d.desired, d.observed) for node, s in scopes for d in s.differences]
    if not rows:
        return ""
    more = f"\nand {len(rows) - MAX_DIFFERENCES} more" if len(rows) > MAX_DIFFERENCES else ""
    return table(("SCOPE", "DIFFERENCE", "DESIRED", "OBSERVED"), rows[:MAX_DIFFERENCES]) + more


def _conditions(status: policy_pb2.GetStatusResponse) -> str:
    rows = [
        (
            word(qos_pb2.ConditionType.Name(c.type)).capitalize(),
            word(qos_pb2.ConditionStatus.Name(c.status)),
            c.reason,
            c.message,
        )
        for c in status.conditions
    ]
    return table(("CONDITION", "STATUS", "REASON", "MESSAGE"), rows)
