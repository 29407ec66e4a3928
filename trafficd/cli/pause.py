"""``trafficd pause``, ``resume``, ``retry``: stop every write, let it go on, try again what was given up."""

from __future__ import annotations

import argparse

from trafficd.api.v1 import agent_pb2, operation_pb2, operation_pb2_grpc
from trafficd.cli.exits import Exit
from trafficd.cli.output import add_output, plain, say, say_json
from trafficd.cli.rpc import add_controller, call, channel


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "pause",
        help="stop every write of every agent",
        description="Stops every write: connected agents at once, the others first thing when they come. It holds "
        "across restarts until trafficd resume. A restore that an agent owes is still carried out.",
    )
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for whoever finds the cluster paused"
    )
    _common(parser, run_pause)
    parser = subparsers.add_parser(
        "resume",
        help="lift a pause; give leave for disruptive steps",
        description="Lifts the controller's pause; a pause on a node is lifted there. With --allow-disruptive it "
        "also gives leave for disruptive steps of the change in force.",
    )
    add_leave(parser)
    _common(parser, run_resume)
    parser = subparsers.add_parser(
        "retry",
        help="try latched scopes again",
        description="Has agents try again what they gave up: a scope that failed verification, or one that somebody "
        "else keeps changing.",
    )
    parser.add_argument("scopes", nargs="*", metavar="NODE[/PORT]", help="default: every latched scope")
    _common(parser, run_retry)


def _common(parser: argparse.ArgumentParser, run: object) -> None:
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def add_leave(parser: argparse.ArgumentParser) -> None:
    """The options that give leave for disruptive steps."""
    parser.add_argument(
        "--allow-disruptive",
        action="store_true",
        help="allow steps that flap a link, for the change in force, on drained ports",
    )
    parser.add_argument(
        "--allow-fabric-flap",
        action="store_true",
        help="allow steps that flap a whole subnet, once it is drained; implies --allow-disruptive",
    )
    parser.add_argument(
        "--max-nodes", type=int, default=1, metavar="N", help="nodes with such a step at once (default 1)"
    )


def wants_leave(args: argparse.Namespace) -> bool:
    return bool(args.allow_disruptive or args.allow_fabric_flap)


def leave_request(args: argparse.Namespace) -> operation_pb2.AllowDisruptionRequest:
    """What the options allow."""
    worst = agent_pb2.DISRUPTION_FABRIC_FLAP if args.allow_fabric_flap else agent_pb2.DISRUPTION_LINK_FLAP
    return operation_pb2.AllowDisruptionRequest(disruption=worst, max_nodes=max(1, args.max_nodes))


def give_leave(stub: operation_pb2_grpc.OperationServiceStub, args: argparse.Namespace) -> str:
    """Allow what the options say; returns a sentence. Raises CliError."""
    response = call(stub.AllowDisruption, leave_request(args), args)
    return f"disruptive steps are allowed for generation {response.generation.epoch}.{response.generation.number}"


def run_pause(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        response = call(stub.SetPause, operation_pb2.SetPauseRequest(paused=True, reason=args.reason), args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say(f"paused: {response.agents} connected agents were told")
    return Exit.OK


def run_resume(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        allowed = give_leave(stub, args) if wants_leave(args) else ""
        response = call(stub.SetPause, operation_pb2.SetPauseRequest(paused=False), args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say("\n".join(filter(None, (allowed, f"resumed: {response.agents} connected agents were told"))))
    return Exit.OK


def run_retry(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        response = call(stub.RetryScopes, operation_pb2.RetryScopesRequest(scopes=args.scopes), args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say(f"trying again: {', '.join(response.scopes)}")
    return Exit.OK
