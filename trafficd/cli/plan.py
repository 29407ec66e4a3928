"""``trafficd plan``: what would change, per node and port, before anything does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from trafficd.api.v1 import agent_pb2, operation_pb2, operation_pb2_grpc, qos_pb2
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import checked, read
from trafficd.cli.output import add_output, complain, percent, plain, say, say_json, table, word
from trafficd.cli.policies import problems_text
from trafficd.cli.rpc import add_controller, call, channel

VERBS = {
    operation_pb2.PLANNED_ACTION_ADD: "add",
    operation_pb2.PLANNED_ACTION_CHANGE: "change",
    operation_pb2.PLANNED_ACTION_REMOVE: "remove",
    operation_pb2.PLANNED_ACTION_PENDING: "pending",
}
HITLESS = (agent_pb2.DISRUPTION_UNSPECIFIED, agent_pb2.DISRUPTION_HITLESS)


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "plan",
        help="what would change, before anything does",
        description="Shows what would change if these files were applied: per node and port old and new values, what "
        "each class is guaranteed, and what each step costs. Without files: what is pending now. Changes nothing.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="a policy file, a fabric file, or both")
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 with a plan, 1 when it would be refused."""
    request = _request(args.files)
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        response = call(stub.PlanPolicy, request, args)
    if args.output == "json":
        say_json(plain(response))
    elif response.problems:
        complain(problems_text(response.problems))
        complain(f"{len(response.problems)} problems; it would be refused")
    else:
        say("\n\n".join(_texts(response, pending=not args.files)))
    return Exit.FINDINGS if response.problems else Exit.OK


def _request(files: list[str]) -> operation_pb2.PlanPolicyRequest:
    """Each file by what it holds. Raises CliError."""
    texts: dict[str, str] = {}
    for path in files:
        data = read(path)
        found = checked(path, data)
        kind = "fabric_text" if found.fabric is not None else "policy_text"
        if found.problems and b"hosts:" in data:
            kind = "fabric_text"
        if kind in texts:
            raise CliError(Exit.USAGE, "give at most one policy file and one fabric file")
        texts[kind] = data.decode("utf-8", "replace")
    return operation_pb2.PlanPolicyRequest(**texts)


def _texts(response: operation_pb2.PlanPolicyResponse, *, pending: bool) -> Iterator[str]:
    for scope in response.scopes:
        yield "\n".join(_scope(scope))
    if response.waves:
        yield "in waves:\n" + "\n".join(
            f"  {i}. {', '.join(w.nodes)}" for i, w in enumerate(response.waves, 1)
        )
    elif response.scopes and not pending:
        yield "every node at once: the policy file has no rollout section, or nothing would be written"
    if response.notes:
        yield "notes:\n" + "\n".join(f"  {n}" for n in response.notes)
    what = "are pending" if pending else "would change"
    yield f"{len(response.scopes)} scopes {what}, {response.unchanged} stay as they are; nothing was changed"


def _scope(scope: operation_pb2.PlannedScope) -> Iterator[str]:
    head = f"{VERBS.get(scope.action, '?')} {scope.node}/{scope.name}"
    yield f"{head}: {scope.driver}, {word(qos_pb2.Mode.Name(scope.mode))}, policy {scope.policy}"
    if scope.differences:
        rows = [(d.path, d.observed, d.desired) for d in scope.differences]
        yield _indented(table(("FIELD", "OLD", "NEW"), rows))
    if scope.shares and scope.action != operation_pb2.PLANNED_ACTION_REMOVE:
        shares = ", ".join(f"{s.traffic_class} {percent(s.ratio)} ({s.lane})" for s in scope.shares)
        yield f"  guaranteed with every lane busy: {shares}"
    if scope.steps:
        yield f"  {len(scope.steps)} steps, {_worst(scope)}"
    for step in scope.steps:
        if step.disruption not in HITLESS:
            yield f"  ! {step.what}: {_cost(step.disruption)}: {step.reason}"
    yield from (f"  note: {n}" for n in scope.notes)


def _worst(scope: operation_pb2.PlannedScope) -> str:
    return "all hitless" if scope.disruption in HITLESS else f"the worst: {_cost(scope.disruption)}"


def _cost(disruption: agent_pb2.Disruption) -> str:
    return agent_pb2.Disruption.Name(disruption).removeprefix("DISRUPTION_").replace("_", " ").lower()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
