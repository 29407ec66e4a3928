"""``trafficd marking``: what to set so that an application's packets run in their lane, on both ends."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Iterable, Iterator

from trafficd.api.v1 import policy_pb2, policy_pb2_grpc, qos_pb2
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.files import checked, read
from trafficd.cli.output import complain, plain, say, say_json, table, word
from trafficd.cli.rpc import add_controller, call, channel
from trafficd.convert.marking import advice_message
from trafficd.core.marking import Ground, Question, Unknown, advise
from trafficd.core.plan import plan
from trafficd_topology.model import Problem
from trafficd_topology.qos.applications.words import Library

MOST_PORTS = 6
WIDTH = 110
HEAD = ("SET", "NAME", "VALUE", "MARKS ONE", "WHERE")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "marking",
        help="what an application must set so that its packets run in their lane",
        description="Prints what to set for a library on a host, typed for the link layer of its NICs, and what to "
        "set at the other end: who sends the bytes marks them, so the data of an RDMA READ is marked by the "
        "responder. Asks the controller, or works on files with --policy and --fabric.",
    )
    parser.add_argument(
        "--class",
        dest="traffic_class",
        required=True,
        metavar="CLASS",
        help="a class of the policy, such as kv",
    )
    libraries = [x.value for x in Library]
    parser.add_argument(
        "--for", dest="library", required=True, choices=libraries, help="the library that sends"
    )
    parser.add_argument("--node", required=True, metavar="N", help="the host it runs on")
    parser.add_argument("--policy", metavar="FILE", help="policy file, instead of a controller")
    parser.add_argument("--fabric", metavar="FILE", help="fabric file, instead of a controller")
    add_controller(parser)
    parser.add_argument(
        "--output",
        "-o",
        choices=("table", "env", "json"),
        default="table",
        help="table for people (default), env for a shell: the host's own variables, json for programs",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0 with something to set, 1 when a file has problems, a name is unknown or there is nothing to set here."""
    if (args.policy is None) != (args.fabric is None):
        raise CliError(
            Exit.USAGE, "give both --policy and --fabric to work on files, or neither to ask the controller"
        )
    advice = _asked(args) if args.policy is None else _from_files(args)
    if advice is None:
        return Exit.FINDINGS
    if args.output == "json":
        say_json(plain(advice))
    elif args.output == "env":
        return _say_env(advice)
    else:
        say("\n".join(_text(advice)))
    return Exit.OK if any(e.settings for e in advice.ends) else Exit.FINDINGS


def _asked(args: argparse.Namespace) -> policy_pb2.GetMarkingResponse:
    request = policy_pb2.GetMarkingRequest(
        traffic_class=args.traffic_class, library=args.library, node=args.node
    )
    with channel(args) as opened:
        answer: policy_pb2.GetMarkingResponse = call(
            policy_pb2_grpc.PolicyServiceStub(opened).GetMarking, request, args
        )
    return answer


def _from_files(args: argparse.Namespace) -> policy_pb2.GetMarkingResponse | None:
    """The answer from files; None once their problems, or the unknown name, are told."""
    policy, fabric = (checked(path, read(path)) for path in (args.policy, args.fabric))
    problems = [f"{f.path}: {p}" for f in (policy, fabric) for p in f.problems]
    if problems:
        complain("\n".join(problems))
        return None
    if policy.policies is None or fabric.fabric is None:
        raise CliError(Exit.USAGE, "--policy takes a policy file and --fabric a fabric file")
    policies = policy.policies.policies
    conflicts: tuple[Problem, ...] = plan(policies, fabric.fabric, ()).problems
    if conflicts:
        complain("\n".join(map(str, conflicts)))
        return None
    question = Question(args.traffic_class, args.library, args.node)
    advice = advise(question, Ground(policies, fabric.fabric))
    if isinstance(advice, Unknown):
        complain(f"trafficd: {advice.reason}")
        return None
    return advice_message(advice)


def _say_env(advice: policy_pb2.GetMarkingResponse) -> int:
    """Lines for a shell to evaluate. Nothing where the host's NICs contradict each other, or nothing is set there."""
    if advice.notes:
        complain("\n".join(f"trafficd: {note}" for note in advice.notes))
        return Exit.FINDINGS
    lines = list(_exports(advice))
    if not lines:
        why = [f"{word_of(e)}: {note}" for e in advice.ends if e.here for note in e.notes]
        reason = "; ".join(why) or f"{advice.title} is not set by the environment: see the table"
        complain(f"trafficd: nothing to export on {advice.node}: {reason}")
        return Exit.FINDINGS
    say("\n".join(lines))
    return Exit.OK


def _exports(advice: policy_pb2.GetMarkingResponse) -> Iterator[str]:
    told: set[str] = set()
    for end in (e for e in advice.ends if e.here):
        for s in end.settings:
            if s.name in told:
                continue
            told.add(s.name)
            if s.form == policy_pb2.SETTING_FORM_ENV:
                yield f"export {s.name}={shlex.quote(s.value)}"
            elif s.form == policy_pb2.SETTING_FORM_UNSET:
                yield f"unset {s.name}"


def word_of(end: policy_pb2.MarkingEnd) -> str:
    """The NICs of an end, shortened."""
    shown = ", ".join(end.ports[:MOST_PORTS])
    more = len(end.ports) - MOST_PORTS
    return f"{shown} and {more} more" if more > 0 else shown


def _text(advice: policy_pb2.GetMarkingResponse) -> Iterator[str]:
    role = word(qos_pb2.Role.Name(advice.role))
    yield f"class {advice.traffic_class} for {advice.title} on {advice.node} ({role})"
    own = [e for e in advice.ends if e.here]
    for end in advice.ends:
        same = not end.here and any(list(e.settings) == list(end.settings) for e in own)
        yield ""
        yield from _end_text(f"On {advice.node}" if end.here else "At the other end", end)
        if same and end.settings:
            yield f"  the same settings as on {advice.node}"
        else:
            yield from _settings(end)
        yield from _items([end.ask_vendor] if end.ask_vendor else ())
    if advice.notes or advice.cautions:
        yield "\nMind"
        yield from _items((*advice.notes, *(f"{c.text} [{c.source}]" for c in advice.cautions)))


def _items(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield textwrap.fill(
            text,
            WIDTH,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_on_hyphens=False,
            break_long_words=False,
        )


def _end_text(title: str, end: policy_pb2.MarkingEnd) -> Iterator[str]:
    layer = "InfiniBand" if end.link_layer == qos_pb2.LINK_LAYER_INFINIBAND else "Ethernet"
    nodes = f" ({len(end.nodes)} hosts)" if len(end.nodes) > 1 else ""
    yield f"{title}, {layer}: {word_of(end)}{nodes}"
    if end.HasField("marking"):
        yield f"  {_marking(end)}"
    if end.here and end.marking.HasField("so_priority"):
        yield f"  kernel sockets: SO_PRIORITY {end.marking.so_priority}, where tc manages the port"
    yield from _items(c.text for c in end.carries)
    yield from _items(end.notes)


def _settings(end: policy_pb2.MarkingEnd) -> Iterator[str]:
    rows = [_row(s) for s in end.settings]
    if rows:
        yield textwrap.indent(table(HEAD, rows), "  ")
    for s in (s for s in end.settings if "\n" in s.value):
        yield f"  {s.name}, in {s.place}:"
        yield textwrap.indent(s.value, "    ")


def _marking(end: policy_pb2.MarkingEnd) -> str:
    m = end.marking
    lane = f"lane {m.lane_id} {end.lane} of policy {end.policy}"
    if m.service_levels:
        return f"SL {m.service_levels[0]} -> {lane}"
    if not m.dscps:
        return f"no marking -> {lane}"
    return f"DSCP {m.dscps[0]}, ToS or traffic class {m.tos} -> {lane}"


def _row(s: policy_pb2.MarkingSetting) -> tuple[str, ...]:
    form = word(policy_pb2.SettingForm.Name(s.form))
    value = "(below)" if "\n" in s.value else s.value or "(not set)"
    return form, s.name, value, s.covers, s.place
