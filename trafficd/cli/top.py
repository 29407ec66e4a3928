"""``trafficd top``: live NICs and lanes in a terminal, from the JSON that the status page is drawn from."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trafficd.cli.exits import CliError, Exit
from trafficd.cli.output import say, table
from trafficd.config import DEFAULT_HTTP
from trafficd_topology.svg import printable

MAX_BYTES = 64 * 2**20
BAR = 10
_SCALES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True)
class NicUse:
    """Bits per second; None is not measured. ``used`` is 0 to 1."""

    name: str
    kind: str
    used: float | None
    transmit_bps: int | None
    receive_bps: int | None
    rate_bps: int
    up: bool


@dataclass(frozen=True, slots=True)
class LaneUse:
    policy: str
    lane: str
    guaranteed: float | None
    observed: float | None
    transmit_bps: int | None
    receive_bps: int | None
    backlog_bytes: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One moment; ``head`` are sentences for its beginning."""

    head: tuple[str, ...]
    nics: tuple[NicUse, ...]
    lanes: tuple[LaneUse, ...]


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "top",
        help="live NICs and lanes",
        description="Shows NICs, the busiest first, and lanes, every --interval seconds: q quits, arrows and page keys "
        "scroll, n sorts by name, u by use. Into a pipe, or with --once, it prints one moment and ends.",
    )
    default = os.environ.get("TRAFFICD_HTTP", DEFAULT_HTTP)
    parser.add_argument(
        "--http", default=default, metavar="HOST:PORT",
        help=f"the controller's HTTP address (default: $TRAFFICD_HTTP, else {DEFAULT_HTTP})",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="print one moment and end")
    parser.add_argument(
        "--limit", type=int, default=40, metavar="N", help="NICs to print, 0 for all (default 40)"
    )
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="default 1")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="default 10")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 0; 3 when no controller answers."""
    if args.interval <= 0 or args.limit < 0:
        raise CliError(Exit.USAGE, "--interval must be above 0 and --limit not below it")
    source = _Source(args.http, args.timeout)
    if args.once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        seen = source.look()
        nics = by_use(seen.nics)
        shown = nics[: args.limit] if args.limit else nics
        say("\n".join([*seen.head, "", *lane_lines(seen.lanes), "", *nic_lines(shown)]))
        if len(shown) < len(nics):
            say(f"and {len(nics) - len(shown)} more: --limit 0 prints all")
        return Exit.OK
    return _screen(source, args.interval)


class _Source:
    """One controller's HTTP address; the drawing is asked for again when it has changed."""

    def __init__(self, address: str, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._tag, self._fabric = "", b"{}"

    def look(self) -> Seen:
        """This moment. Raises CliError."""
        live = _json(self._get("/api/v1/live"), self._address)
        if live.get("fabric") != self._tag:
            self._fabric, self._tag = self._get("/api/v1/fabric"), live.get("fabric", "")
        try:
            return parse(_json(self._fabric, self._address), live)
        except (KeyError, TypeError, IndexError) as e:
            raise _foreign(self._address) from e

    def _get(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self._address}{path}", timeout=self._timeout) as response:
                body: bytes = response.read(MAX_BYTES)
                return body
        except urllib.error.HTTPError as e:
            raise _foreign(self._address) from e
        except (OSError, ValueError) as e:
            why = e.reason if isinstance(e, urllib.error.URLError) else e
            text = f"no controller answers HTTP at {self._address} ({why}): name its --http address"
            raise CliError(Exit.UNREACHABLE, text) from e


def _foreign(address: str) -> CliError:
    text = f"what answers at {address} is no controller of this version: name its --http address, not the gRPC one"
    return CliError(Exit.UNREACHABLE, text)


def _json(body: bytes, address: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as e:
        raise _foreign(address) from e
    if not isinstance(found, dict):
        raise _foreign(address)
    return found


def parse(fabric: dict[str, Any], answer: dict[str, Any]) -> Seen:
    """Both documents as one moment. KeyError, TypeError or IndexError for what is no such document."""
    live = answer["live"]
    names = [(printable(f"{n['node']}/{n['name']}"), str(n["kind"])) for n in fabric["nics"]]
    columns = live["nics"]
    fields = ("utilisation", "transmit_bps", "receive_bps", "rate_bps", "up")
    rows = zip(names, *(columns[f] for f in fields), strict=False)
    nics = tuple(NicUse(name, kind, u, t, r, rate, bool(up)) for (name, kind), u, t, r, rate, up in rows)
    lanes = tuple(
        LaneUse(
            printable(lane["policy"]),
            printable(f"{lane['lane_id']} {lane['name']}"),
            *(lane[f] for f in ("guaranteed", "observed", "transmit_bps", "receive_bps", "backlog_bytes")),
        )
        for lane in live["lanes"]
    )
    return Seen(tuple(_head(fabric, live)), nics, lanes)


def _head(fabric: dict[str, Any], live: dict[str, Any]) -> Iterator[str]:
    at = time.strftime("%H:%M:%S", time.gmtime(live["unix_ns"] / 1e9))
    ready = next((c for c in live["conditions"] if c["type"] == "Ready"), None)
    state = "unknown" if ready is None else ready["status"]
    yield printable(f"fabric {fabric['name']}, generation {live['generation']}, Ready {state}, {at} UTC")
    synced = [n["in_sync"] for n in live["nodes"] if n["in_sync"] is not None]
    told = [f"{sum(synced)} of {len(synced)} nodes in sync"]
    if live["rollout"]:
        told.append(f"rollout {live['rollout']['phase']}")
    if live["paused"]:
        told.append(f"paused: {live['paused']}")
    peaks = ((b["kind"], b["balance"]["max_over_average"]) for b in live["balances"])
    told += [f"{kind} NICs {peak:.2f} Max/Avg" for kind, peak in peaks if peak is not None]
    yield printable("; ".join(told))


def by_use(nics: Sequence[NicUse]) -> list[NicUse]:
    """The busiest first; those that nobody measures last."""
    return sorted(nics, key=lambda n: (-1.0 if n.used is None else n.used, n.rate_bps), reverse=True)


def nic_lines(nics: Sequence[NicUse]) -> list[str]:
    rows = [
        (n.name, n.kind, _used(n), _bits(n.transmit_bps), _bits(n.receive_bps), _bits(n.rate_bps))
        for n in nics
    ]
    return table(("NIC", "KIND", "USED", "SENT", "RECEIVED", "RATE"), rows).splitlines()


def lane_lines(lanes: Sequence[LaneUse]) -> list[str]:
    if not lanes:
        return ["no policy makes lanes"]
    rows = [
        (
            n.policy, n.lane, _part(n.guaranteed), _part(n.observed), _bits(n.transmit_bps), _bits(n.receive_bps),
            _scaled(n.backlog_bytes, "B"),
        )
        for n in lanes
    ]  # fmt: skip
    head = ("POLICY", "LANE", "GUARANTEED", "OBSERVED", "SENT", "RECEIVED", "BACKLOG")
    return table(head, rows).splitlines()


def _used(nic: NicUse) -> str:
    if not nic.up:
        return "no carrier"
    if nic.used is None:
        return "not measured"
    return f"{'#' * round(nic.used * BAR):<{BAR}} {nic.used:4.0%}"


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _bits(value: int | None) -> str:
    return _scaled(value, "bit/s")


def _scaled(value: int | None, unit: str) -> str:
    if value is None:
        return "-"
    for least, letter in _SCALES:
        if value >= least:
            return f"{value / least:.3g} {letter}{unit}"
    return f"{value} {unit}"


def _screen(source: _Source, interval: float) -> int:
    import curses  # noqa: PLC0415 - not every Python has it, and a pipe needs none

    from trafficd.cli.screen import Screen  # noqa: PLC0415 - needs curses

    try:
        code: int = curses.wrapper(lambda window: Screen(window, source.look, interval).run())
    except curses.error as e:
        raise CliError(Exit.USAGE, f"this terminal cannot be drawn on ({e}): use --once") from e
    return code
