"""``trafficd check``: policy and fabric files, judged offline by the code the controller runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from trafficd.api.v1 import policy_pb2
from trafficd.cli.check_subnet import subnet_problems
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import Checked, checked, read
from trafficd.cli.output import add_output, complain, plain, say, say_json
from trafficd.cli.policies import policy_text, problems_text
from trafficd.cli.switches import Compared, compare, parse
from trafficd.convert.policy import compiled_message
from trafficd.convert.words import problem_message
from trafficd.core.compiled import compile_all
from trafficd.core.plan import Plan, plan
from trafficd_topology.model import Problem
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.qos.policy import Policy


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "check",
        help="check policy and fabric files, offline",
        description="Checks policy and fabric files without a controller. With a fabric file beside the policies "
        "it also finds policies that select the same port, and counts the ports of each.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="policy or fabric files; - is standard input"
    )
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="compare a switch of the fabric file: a SONiC CONFIG_DB export, or lldpctl -f json of a host on it; repeatable",
    )
    parser.add_argument(
        "--opensm", metavar="FILE", help="the opensm.conf of an InfiniBand subnet that the policies are for"
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 when every file is good, 1 with every problem when not."""
    files = [checked(path, read(path)) for path in args.files]
    response = policy_pb2.CheckPolicyResponse()
    for file in files:
        response.problems.extend(problem_message(_placed(file.path, p)) for p in file.problems)
    if not response.problems:
        _fill(response, files, args.opensm)
    compared = _switches(args.switch, files) if not response.problems else ()
    response.problems.extend(problem_message(p) for c in compared for p in c.problems)
    response.notes.extend(text for c in compared for text in (*c.said, c.stanza) if text)
    if args.output == "json":
        say_json(plain(response))
    else:
        _show(response, files)
    return Exit.FINDINGS if response.problems else Exit.OK


def _switches(given: Sequence[str], files: Sequence[Checked]) -> tuple[Compared, ...]:
    """What each switch that was given differs in, or that it agrees. Raises CliError without a fabric file."""
    fabric = next((f.fabric for f in files if f.fabric is not None), None)
    if given and fabric is None:
        raise CliError(Exit.USAGE, "--switch needs the fabric file too: it says which NICs are on the switch")
    policies = [p for f in files if f.policies for p in f.policies.policies]
    out: list[Compared] = []
    for text in given:
        export, problems = parse(text)
        out += (
            compare(export, policies, fabric) if export and fabric and not problems else [Compared(problems)]
        )
    return tuple(out)


def _fill(response: policy_pb2.CheckPolicyResponse, files: Sequence[Checked], opensm: str | None) -> None:
    """What the files say together: names given twice, ports selected twice, and every policy worked out."""
    problems, policies = _together(files)
    fabrics = [f.fabric for f in files if f.fabric is not None]
    if len(fabrics) > 1:
        raise CliError(Exit.USAGE, "more than one fabric file: a controller has one, check them one by one")
    made: Plan | None = None
    if fabrics and not problems:
        made = plan(tuple(policies), fabrics[0], ())
        problems += made.problems
    # What observes may be compared with a subnet that could not hold it, as in a plan.
    enforced = [p for p in policies if p.mode is Mode.ENFORCE or opensm]
    problems += subnet_problems(opensm, enforced, fabrics[0] if fabrics else None)
    response.problems.extend(problem_message(p) for p in problems)
    if not problems:
        response.policies.extend(compiled_message(p) for p in compile_all(policies, made))


def _together(files: Sequence[Checked]) -> tuple[list[Problem], list[Policy]]:
    problems: list[Problem] = []
    found: dict[str, tuple[str, Policy]] = {}
    for file in files:
        for policy in file.policies.policies if file.policies else ():
            if policy.name in found:
                first = found[policy.name][0]
                problems.append(
                    Problem(file.path, policy.name, f"this policy also stands in {first}: rename one")
                )
            found.setdefault(policy.name, (file.path, policy))
    return problems, [policy for _, policy in found.values()]


def _placed(path: str, problem: Problem) -> Problem:
    return Problem(f"{path}: {problem.path}" if problem.path else path, problem.value, problem.reason)


def _show(response: policy_pb2.CheckPolicyResponse, files: Sequence[Checked]) -> None:
    if response.problems:
        complain(problems_text(response.problems))
        complain(f"{len(response.problems)} problems")
        return
    for file in files:
        if file.fabric is not None:
            f = file.fabric
            nics = sum(len(h.nics) for h in f.hosts)
            counts = f"{len(f.hosts)} hosts, {nics} NICs, {len(f.switches)} switches, {len(f.links)} links"
            say(f"{file.path}: fabric {f.name or '(unnamed)'}: {counts}")
    for policy in response.policies:
        say(policy_text(policy) + "\n")
    for note in response.notes:
        say(note)
    say("no problems")
