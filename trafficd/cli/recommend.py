"""``trafficd recommend``: ask the controller where a KV read should go.

It asks the controller itself, without the client library's local choice: a person wants to know that no controller
answers, a scheduler wants an answer all the same.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from trafficd.api.v1 import path_pb2, path_pb2_grpc
from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import add_output, complain, plain, say, say_json, table, word
from trafficd.cli.rpc import add_controller, call, channel

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKMGT]i?)?B?", re.ASCII)
_PREFIX = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def size(text: str) -> int:
    """Bytes from ``64MiB``, ``1.5GB`` or ``1000``. Raises argparse.ArgumentTypeError."""
    found = _SIZE.fullmatch(text)
    prefix = (found[2] or "") if found else ""
    scale = (1024 if prefix.endswith("i") else 1000) ** _PREFIX[prefix[:1].lower()]
    if found is None or not (amount := float(found[1]) * scale) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write bytes, or such as 64MiB or 1.5GB")
    return int(amount)


def engine(text: str) -> path_pb2.EngineRef:
    """An engine from ``node/rank``; ``node`` alone is rank 0."""
    node, slash, rank = text.rpartition("/")
    if not slash:
        return path_pb2.EngineRef(node=text)
    if not node or not (rank.isascii() and rank.isdigit()) or int(rank) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no engine: write node/rank, such as p1/0")
    return path_pb2.EngineRef(node=node, rank=int(rank))


def source(text: str) -> path_pb2.SourceNode:
    """A source from ``node`` or ``node=bytes``."""
    node, _, amount = text.partition("=")
    return path_pb2.SourceNode(node=node, bytes=size(amount) if amount else 0)


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "recommend",
        help="ask through which NICs a KV read should go",
        description="Asks the controller for a ranked list of path plans. Nothing is reserved unless asked for.",
    )
    _add_question(parser)
    _add_abilities(parser)
    add_controller(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def _add_question(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--source",
        type=source,
        action="append",
        default=[],
        metavar="NODE[=BYTES]",
        help="node that holds the KV, and how much of it; may be repeated",
    )
    where.add_argument("--pool", default="", help="storage pool that holds the KV, without placement")
    parser.add_argument(
        "--bytes", type=size, default=0, metavar="SIZE", help="size of the read, such as 64MiB"
    )
    for role in ("prefill", "decode"):
        parser.add_argument(
            f"--{role}",
            type=engine,
            action="append",
            default=[],
            metavar="NODE/RANK",
            help=f"{role} engine or candidates; may be repeated (default: any)",
        )
    parser.add_argument("--strategy", default="", metavar="NAME", help="strategy (default: the policy's)")
    parser.add_argument(
        "--engines",
        default="",
        metavar="NAME",
        help="rule for engines (default: the policy's or the strategy's)",
    )
    parser.add_argument("--strict", action="store_true", help="leave out plans much slower than the best")
    parser.add_argument(
        "--explain", action="store_true", help="say what each resource takes and why the first plan won"
    )
    parser.add_argument("--intent", default="", help="what the flow is for (default kv-read)")
    parser.add_argument(
        "--max-plans", type=int, default=0, metavar="N", help="longest list wanted (default: all)"
    )
    parser.add_argument(
        "--reserve", type=float, default=0.0, metavar="SECONDS", help="reserve the first plan for this long"
    )


def _add_abilities(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--read-on-decode-side", action="store_true", help="the caller can read on the decode side"
    )
    parser.add_argument(
        "--no-prefill-side", action="store_true", help="the caller cannot read on the prefill side"
    )
    parser.add_argument("--relay", action="store_true", help="the caller can read through a third node")
    parser.add_argument(
        "--max-legs", type=int, default=1, metavar="N", help="most legs a read may have (default 1)"
    )


def request_of(args: argparse.Namespace) -> path_pb2.RecommendRequest:
    """The question as a message. Raises CliError when a number does not fit."""
    if not (0 <= args.max_plans < 2**32 and 1 <= args.max_legs < 2**32 and 0 <= args.reserve <= 86_400):
        raise CliError(
            Exit.USAGE, "--max-plans is 0 or more, --max-legs 1 or more, --reserve 0 to 86400 seconds"
        )
    return path_pb2.RecommendRequest(
        source=path_pb2.Source(nodes=args.source, pool=args.pool),
        bytes=args.bytes,
        prefill=args.prefill,
        decode=args.decode,
        intent=args.intent,
        abilities=path_pb2.Abilities(
            read_on_decode_side=args.read_on_decode_side,
            no_prefill_side=args.no_prefill_side,
            relay=args.relay,
            max_legs=args.max_legs,
        ),
        reserve_ttl_ms=round(args.reserve * 1000),
        max_plans=args.max_plans,
        strategy=args.strategy,
        engine_rule=args.engines,
        strict=args.strict,
        explain=args.explain,
    )


def run(args: argparse.Namespace) -> int:
    """Exit 0 with a plan, 1 without any or when something named is unknown."""
    request = request_of(args)
    with channel(args) as opened:
        answer = call(path_pb2_grpc.PathServiceStub(opened).Recommend, request, args)
    if args.output == "json":
        say_json(plain(answer))
    else:
        _show(answer)
    return Exit.OK if answer.plans and not answer.problems else Exit.FINDINGS


def _show(answer: path_pb2.RecommendResponse) -> None:
    head = (
        "PLAN",
        "SCORE",
        "PREFILL",
        "DECODE",
        "SIDE",
        "NICS",
        "BYTES",
        "SECONDS",
        "BOTTLENECK",
        "AHEAD",
        "FOR KV",
        "LANE",
    )
    if answer.plans:
        say(table(head, _rows(answer)))
    if answer.HasField("explanation"):
        _explain(answer)
    if answer.HasField("fallback"):
        reason = path_pb2.FallbackReason.Name(answer.fallback.reason).removeprefix("FALLBACK_REASON_").lower()
        say(f"fallback ({reason.replace('_', ' ')}): {answer.fallback.detail}")
    if answer.HasField("lease"):
        say(f"reserved as {answer.lease.id} for {answer.lease.ttl_ms / 1000:g} s")
    say(f"snapshot {answer.snapshot_version}, good for {answer.valid_for_ms} ms")
    for p in answer.problems:
        complain(f"{p.item}: {p.reason}")


def _explain(answer: path_pb2.RecommendResponse) -> None:
    told = answer.explanation
    say(f"strategy {told.strategy}, engines {told.engine_rule}")
    say(f"{told.reason}")
    head = (
        "PLAN",
        "LEG",
        "RESOURCE",
        "SECONDS",
        "QUEUE",
        "HIGHER LANES",
        "OWN BYTES",
        "WEIGHT",
        "DATA AGE",
        "HOPS",
    )
    say(table(head, _resources(answer)))
    for i, plan in enumerate(told.plans, 1):
        if plan.note:
            say(f"plan {i}: {plan.note}")


def _resources(answer: path_pb2.RecommendResponse) -> Iterator[tuple[object, ...]]:
    for i, plan in enumerate(answer.explanation.plans, 1):
        for r in plan.resources:
            name = (
                r.name
                if r.learned_ratio in (0.0, 1.0)
                else f"{r.name} (at {r.learned_ratio:.0%} of its rate)"
            )
            yield (
                i,
                r.leg + 1,
                name,
                f"{r.seconds:.6f}",
                f"{r.queue_seconds:.6f}",
                f"{r.higher_lane_seconds:.6f}",
                f"{r.serialisation_seconds:.6f}",
                f"{r.weight:g}",
                f"{r.data_age_seconds:.1f} s" if r.HasField("data_age_seconds") else "none",
                r.hops or "",
            )


def _rows(answer: path_pb2.RecommendResponse) -> Iterator[tuple[object, ...]]:
    for i, plan in enumerate(answer.plans, 1):
        for leg in plan.legs:
            yield (
                i,
                f"{plan.score:.3f}",
                _engine_text(plan, "prefill"),
                _engine_text(plan, "decode"),
                word(path_pb2.Side.Name(leg.side)),
                " > ".join(leg.nics),
                leg.bytes,
                f"{leg.expected_seconds:.6f}",
                leg.bottleneck,
                leg.queue_bytes,
                f"{leg.available_bps / 1e6:.1f} Mb/s",
                f"{leg.lane_id} {leg.traffic_class}",
            )


def _engine_text(plan: path_pb2.PathPlan, role: str) -> str:
    if not plan.HasField(role):
        return ""
    found: path_pb2.EngineRef = getattr(plan, role)
    return f"{found.node}/{found.rank}"
