"""``trafficd apply``: policies that the API owns."""

from __future__ import annotations

import argparse
import sys

from trafficd.api.v1 import policy_pb2, policy_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import read
from trafficd.cli.output import add_output, complain, plain, say, say_json
from trafficd.cli.pause import add_leave, leave_request, wants_leave
from trafficd.cli.policies import policy_text, problems_text
from trafficd.cli.progress import add_wait, follow
from trafficd.cli.rpc import add_controller, call, channel


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "apply",
        help="give the controller policies, or end them",
        description="Applies the policies of a file through the API: those it names are taken over or replaced, "
        "other policies stay. A policy that the controller's own policy file names cannot be changed here.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="policy file; - is standard input")
    parser.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="NAME",
        help="end this policy of the API; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would come of it and change nothing")
    add_leave(parser)
    add_wait(parser)
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when accepted, 1 with every problem when not."""
    if args.file is None and not args.remove:
        raise CliError(Exit.USAGE, "nothing to do: give a policy file, or --remove NAME")
    if args.dry_run and args.wait is not None:
        raise CliError(Exit.USAGE, "--dry-run changes nothing to wait for: leave out --wait")
    if args.remove and args.dry_run:
        raise CliError(Exit.USAGE, "--dry-run judges a policy file: leave out --remove")
    try:
        text = "" if args.file is None else read(args.file).decode()
    except UnicodeDecodeError as e:
        raise CliError(Exit.USAGE, f"{args.file} is no text file: byte {e.start} is not UTF-8") from e
    with channel(args) as opened:
        stub = policy_pb2_grpc.PolicyServiceStub(opened)
        if args.dry_run:
            response = call(stub.CheckPolicy, policy_pb2.CheckPolicyRequest(text=text), args)
        else:
            allow = leave_request(args) if wants_leave(args) else None
            request = policy_pb2.ApplyPolicyRequest(text=text, remove=args.remove, allow=allow)
            response = call(stub.ApplyPolicy, request, args)
        if args.output == "json":
            say_json(plain(response))
        else:
            _show(response)
        if args.wait is not None and not response.problems:
            sys.stdout.flush()
            follow(opened, response.generation, args)
    return Exit.FINDINGS if response.problems else Exit.OK


def _show(response: policy_pb2.ApplyPolicyResponse | policy_pb2.CheckPolicyResponse) -> None:
    if response.problems:
        complain(problems_text(response.problems))
        complain(f"{len(response.problems)} problems; nothing was changed")
        return
    for policy in response.policies:
        say(policy_text(policy) + "\n")
    if isinstance(response, policy_pb2.ApplyPolicyResponse):
        say(f"accepted, generation {response.generation.epoch}.{response.generation.number}")
    else:
        say("would be accepted")
