"""``trafficd rollout``, ``rollback``, ``history``, ``log``: where a change is, undoing it, and who made it."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime

from trafficd.api.v1 import agent_pb2, operation_pb2, operation_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import add_output, complain, plain, say, say_json, table
from trafficd.cli.pause import add_leave, give_leave, wants_leave
from trafficd.cli.policies import problems_text
from trafficd.cli.rpc import add_controller, call, channel

WATCH_S = 1.0
HALTED = operation_pb2.ROLLOUT_PHASE_HALTED


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("rollout", help="a change on its way: status, resume, abort")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    status = verbs.add_parser("status", help="waves, progress, and what it waits for")
    status.add_argument("--watch", action="store_true", help="follow it until it is done or halted")
    _common(status, run_status)
    resume = verbs.add_parser("resume", help="go on with a halted rollout, without the nodes that failed")
    add_leave(resume)
    _common(resume, run_resume)
    _common(verbs.add_parser("abort", help="end it and put back what was in force before"), run_abort)
    rollback = subparsers.add_parser(
        "rollback",
        help="put older policies in force again",
        description="Makes a new generation with the policies of an older one, everywhere at once. A policy file that "
        "was rolled back stays out of force until its content changes.",
    )
    rollback.add_argument(
        "--to", metavar="GENERATION", help="as trafficd history shows it (default: the one before)"
    )
    _common(rollback, run_rollback)
    _common(subparsers.add_parser("history", help="the policies accepted last"), run_history)
    log = subparsers.add_parser("log", help="who changed what")
    log.add_argument("--limit", type=int, default=100, metavar="N", help="the newest N lines (default 100)")
    _common(log, run_log)


def _common(parser: argparse.ArgumentParser, run: object) -> None:
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def _number(g: agent_pb2.Generation) -> str:
    return f"{g.epoch}.{g.number}"


def when(unix_ns: int) -> str:
    """UTC, to the second; empty for 0."""
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if unix_ns else ""


def _generation(text: str) -> agent_pb2.Generation:
    epoch, _, number = text.partition(".")
    if not (epoch.isdecimal() and number.isdecimal()):
        raise CliError(
            Exit.USAGE, f"{text!r} is no generation: write it as trafficd history shows it, such as 1.12"
        )
    return agent_pb2.Generation(epoch=int(epoch), number=int(number))


def run_status(args: argparse.Namespace) -> int:
    """Exit 0 when none is halted, 1 when one is."""
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        shown = ""
        while True:
            response = call(stub.GetRollout, operation_pb2.GetRolloutRequest(), args)
            text = _progress(response)
            if args.output == "table" and text != shown:
                say(text)
                shown = text
            if not args.watch or not response.HasField("rollout") or response.rollout.phase == HALTED:
                break
            time.sleep(WATCH_S)
    if args.output == "json":
        say_json(plain(response))
    return Exit.FINDINGS if response.rollout.phase == HALTED else Exit.OK


def _progress(response: operation_pb2.GetRolloutResponse) -> str:
    return progress(response.rollout) if response.HasField("rollout") else "no rollout is under way"


def progress(r: operation_pb2.RolloutStatus) -> str:
    """Phase, waves, and what it waits for."""
    phase = operation_pb2.RolloutPhase.Name(r.phase).rpartition("_")[2].lower()
    rows = [
        (
            i,
            len(w.nodes),
            w.admitted,
            w.verified,
            ", ".join(w.nodes[:5]) + (", ..." if len(w.nodes) > 5 else ""),
        )
        for i, w in enumerate(r.waves, 1)
    ]
    left = f", {r.soak_seconds:.0f} s to soak" if r.soak_seconds else ""
    why = f": {r.reason}" if r.reason else ""
    head = f"{phase} at wave {r.wave} of {len(r.waves)}{left}{why}"
    excused = [f"left out: {', '.join(r.excused)}"] if r.excused else []
    return "\n".join([head, table(("WAVE", "NODES", "TOLD", "VERIFIED", "NAMES"), rows), *excused])


def run_resume(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        if wants_leave(args):
            say(give_leave(stub, args))
        return _steer(stub, operation_pb2.ROLLOUT_ACTION_RESUME, args)


def run_abort(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        return _steer(stub, operation_pb2.ROLLOUT_ACTION_ABORT, args)


def _steer(
    stub: operation_pb2_grpc.OperationServiceStub,
    action: operation_pb2.RolloutAction,
    args: argparse.Namespace,
) -> int:
    response = call(stub.SteerRollout, operation_pb2.SteerRolloutRequest(action=action), args)
    if args.output == "json":
        say_json(plain(response))
    elif action == operation_pb2.ROLLOUT_ACTION_ABORT:
        say(f"aborted: generation {_number(response.generation)} puts back what was there before")
    else:
        say("the rollout goes on")
    return Exit.OK


def run_rollback(args: argparse.Namespace) -> int:
    """Exit 0 when it is in force, 1 with every problem when not."""
    request = operation_pb2.RollbackRequest()
    if args.to is not None:
        request.generation.CopyFrom(_generation(args.to))
    with channel(args) as opened:
        response = call(operation_pb2_grpc.OperationServiceStub(opened).Rollback, request, args)
    if args.output == "json":
        say_json(plain(response))
    elif response.problems:
        complain(problems_text(response.problems))
    else:
        say(f"generation {_number(response.generation)} has the policies of {_number(response.restored)}")
    return Exit.FINDINGS if response.problems else Exit.OK


def run_history(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        response = call(stub.ListHistory, operation_pb2.ListHistoryRequest(), args)
    if args.output == "json":
        say_json(plain(response))
        return Exit.OK
    rows = [
        (
            _number(e.generation),
            when(e.accepted_unix_ns),
            e.cause,
            e.who,
            "; ".join(f"{'+'.join(p.names) or 'none'} ({p.owner}, {p.digest[:12]})" for p in e.policies),
        )
        for e in response.entries
    ]
    say(
        table(("GENERATION", "ACCEPTED", "BY", "WHO", "POLICIES"), rows)
        if rows
        else "no policy was accepted yet"
    )
    return Exit.OK


def run_log(args: argparse.Namespace) -> int:
    with channel(args) as opened:
        stub = operation_pb2_grpc.OperationServiceStub(opened)
        response = call(stub.ListLog, operation_pb2.ListLogRequest(limit=max(1, args.limit)), args)
    if args.output == "json":
        say_json(plain(response))
        return Exit.OK
    rows = [
        (
            when(r.at_unix_ns),
            r.who,
            r.what,
            r.subject,
            _number(r.generation),
            f"{r.before[:12] or '-'} -> {r.after[:12] or '-'}" if r.before or r.after else "",
        )
        for r in response.records
    ]
    say(
        table(("WHEN", "WHO", "WHAT", "SUBJECT", "GENERATION", "DIGEST"), rows)
        if rows
        else "nothing was changed yet"
    )
    return Exit.OK
