"""``trafficd recover``: a controller that lost its state file takes over from its agents."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from trafficd.api.v1 import agent_pb2, operation_pb2, operation_pb2_grpc
from trafficd.cli.exits import Exit
from trafficd.cli.output import add_output, plain, say, say_json, table
from trafficd.cli.rpc import add_controller, call, channel

SHOWN = 5


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "recover",
        help="take over from the agents after the state file was lost",
        description="Shows which controllers the agents follow that have called, and how far they are. With "
        "--confirm the controller, which must have been started with trafficd serve --recover, goes on as that "
        "controller, above every generation its agents have accepted.",
    )
    parser.add_argument(
        "--confirm", metavar="UUID", help="take over the agents that follow this controller, and program them"
    )
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when nothing is to be recovered or it was done, 1 while agents follow another controller or are ahead."""
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        if args.confirm is not None:
            return _confirm(stub, args)
        response = call(stub.GetRecovery, operation_pb2.GetRecoveryRequest(), args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say("\n\n".join(_texts(response)))
    return Exit.FINDINGS if _ahead(response) else Exit.OK


def _confirm(stub: operation_pb2_grpc.OperationServiceStub, args: argparse.Namespace) -> int:
    response = call(stub.Recover, operation_pb2.RecoverRequest(controller_uuid=args.confirm), args)
    if args.output == "json":
        say_json(plain(response))
    else:
        say(f"recovered: controller {args.confirm} goes on from generation {_number(response.generation)}")
    return Exit.OK


def _number(g: agent_pb2.Generation) -> str:
    return f"{g.epoch}.{g.number}"


def _ahead(response: operation_pb2.GetRecoveryResponse) -> list[operation_pb2.RecoveryLead]:
    """Leads that this controller is not, or is behind."""
    ours = (response.generation.epoch, response.generation.number)
    return [
        lead
        for lead in response.leads
        if lead.controller_uuid != response.controller_uuid
        or (lead.highest.epoch, lead.highest.number) > ours
    ]


def _texts(response: operation_pb2.GetRecoveryResponse) -> Iterator[str]:
    yield f"controller {response.controller_uuid}, generation {_number(response.generation)}"
    if response.withheld:
        yield response.withheld
    rows = [
        (lead.controller_uuid, _number(lead.highest), len(lead.nodes), _names(lead.nodes))
        for lead in response.leads
    ]
    yield (
        table(("FOLLOWED", "HIGHEST", "AGENTS", "NODES"), rows)
        if rows
        else "no agent that follows a controller has called since the start"
    )
    if response.unheard:
        yield f"not heard of {len(response.unheard)} hosts of the fabric: {_names(response.unheard)}"
    yield _next(response)


def _next(response: operation_pb2.GetRecoveryResponse) -> str:
    """What to do now."""
    ahead = _ahead(response)
    if not ahead:
        return "nothing to recover"
    if not response.allowed:
        return "to take over, stop every other controller and start this one with trafficd serve --recover"
    if len(ahead) > 1:
        return "agents follow several controllers: only those of one can be taken over"
    if response.unheard:
        return f"wait for the others, or go on without them: trafficd recover --confirm {ahead[0].controller_uuid}"
    return f"to take over: trafficd recover --confirm {ahead[0].controller_uuid}"


def _names(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
