"""Carrying out a batch of changes: check, write opensm.conf, signal, wait for the sweep, send drifted tables again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import BusyError, DriverError, ForeignError, GoneError, RefusedError
from trafficd_agent.drivers.opensm import tables
from trafficd_agent.drivers.opensm.conf import read_conf, write_conf
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.process import DEFAULT_LOG, Process, find, hang_up
from trafficd_agent.drivers.opensm.smp import Smp
from trafficd_agent.drivers.opensm.survey import Port
from trafficd_agent.drivers.opensm.sweep import POLL_SECONDS, Activity, mark, refusal, since, swept
from trafficd_topology.diff import Change
from trafficd_topology.parsers.opensm_conf import (
    MANAGED,
    Limits,
    check_options,
    edit_conf,
    overrides,
    parse_conf,
)

Options = Mapping[str, str | None]
"""Keys to set; None removes the line."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One batch on one fabric, with what was found before it."""

    options: OpensmOptions
    smp: Smp
    process: Process
    text: str
    ports: tuple[Port, ...]

    @property
    def conf(self) -> Path:
        return Path(self.options.conf)

    @property
    def where(self) -> str:
        return f"fabric {self.options.fabric}"


@dataclass(frozen=True, slots=True)
class _Goal:
    """What a batch leads to: lines to change, all options with them, and what every port must hold."""

    lines: Options
    options: Mapping[str, str]
    tables: tables.Tables


def foreign(path: Path, options: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each option of one port type that would win over ours there."""
    return tuple(
        f"{path} sets {key} {options[key]}, which overrides the lanes on ports of that type: remove the line"
        for key in overrides(options)
    )


def commit(options: OpensmOptions, smp: Smp, changes: tuple[Change, ...]) -> None:
    """Bring all changes into force. Raises DriverError; nothing is written when the values are refused."""
    process = find(options)
    if process.state == "T":
        raise BusyError(
            f"fabric {options.fabric}: OpenSM (pid {process.pid}) is stopped: continue it with kill -CONT {process.pid}"
        )
    job = _Job(options, smp, process, read_conf(Path(options.conf)), smp.ports().ports)
    now = parse_conf(job.text)
    if sentences := foreign(job.conf, now):
        raise ForeignError(sentences[0])
    new = _new_options(job, changes, now)
    final = {k: v for k, v in {**now, **new}.items() if v is not None}
    goal = _Goal(new, final, tables.wanted_tables(changes, final))
    vls = _checked(job, new, final).vls
    # OpenSM sets a port's high limit in every sweep where it reads another one.
    if any(c.kind in {"option", tables.HIGH_LIMIT} for c in changes):
        _program(job, new)
    if left := _left(job, goal.tables, settle=bool(new)):
        _send_again(job, left, goal, vls)


def _new_options(job: _Job, changes: tuple[Change, ...], now: Mapping[str, str]) -> Options:
    """The option lines to set, provided that the file still holds what the changes start from."""
    new: dict[str, str | None] = {}
    for change in changes:
        if change.kind != "option":
            continue
        found = now.get(change.key)
        if found != (change.old.text if change.old else None):
            raise BusyError(
                f"{job.conf}: {change.key} was changed to {found or 'nothing'} by somebody else meanwhile: try again"
            )
        new[change.key] = change.new.text if change.new else None
    return new


def _checked(job: _Job, new: Options, final: Mapping[str, str]) -> Limits:
    """The limits that hold after the batch; RefusedError when a value is outside of them.

    A change of the operational VLs puts every value to the test, else those that change.
    """
    fewer = "max_op_vls" in new
    limits = tables.limits(job.ports, final.get("max_op_vls") if fewer else None)
    tested = {k: v for k, v in final.items() if k in MANAGED and (fewer or k in new)}
    if problems := check_options(tested, limits):
        raise RefusedError(f"{job.where}: {'; '.join(map(str, problems))}")
    return limits


def _log(job: _Job) -> Path | None:
    name = job.process.log or parse_conf(job.text).get("log_file", DEFAULT_LOG)
    name = job.options.log or name
    return None if name in {"stdout", "stderr", "(null)"} else Path(name)


def _program(job: _Job, new: Options) -> None:
    """Write the file, signal, and wait until OpenSM has swept the subnet. Raises DriverError."""
    write_conf(job.conf, edit_conf(job.text, new))
    start = mark(_log(job))
    activity = Activity(job.smp.activity, len(job.ports), time.monotonic())
    hang_up(job.process)
    until = time.monotonic() + job.options.sweep_seconds
    while not (swept(since(start), start) or activity.settled(time.monotonic())):
        if find(job.options).identity != job.process.identity:
            raise GoneError(
                f"{job.where}: OpenSM (pid {job.process.pid}) ended or started anew in the middle: try again"
            )
        if time.monotonic() > until:
            raise _not_swept(job, since(start))
        time.sleep(POLL_SECONDS)
    if line := refusal(since(start)):
        raise RefusedError(f"{job.where}: OpenSM refused a file it read again: {line}")


def _not_swept(job: _Job, lines: list[str]) -> DriverError:
    errors = [line.partition("-> ")[2] for line in lines if "ERR " in line]
    said = f"it logged {errors[-1]}" if errors else f"look into {_log(job) or 'its output'}"
    return BusyError(
        f"{job.where}: OpenSM (pid {job.process.pid}) did not sweep the subnet within "
        f"{job.options.sweep_seconds:g} s of SIGHUP: {said}; a standby or hung subnet manager programs nothing"
    )


def _left(job: _Job, wanted: tables.Tables, settle: bool) -> dict[str, str]:
    """Kinds of table that ports still hold otherwise; after a sweep, given a little time to settle."""
    until = time.monotonic() + (job.options.settle_seconds if settle else 0.0)
    while wanted:
        left = tables.differing(job.smp.survey(), wanted)
        if not left or time.monotonic() >= until:
            return left
        time.sleep(POLL_SECONDS)
    return {}


def _send_again(job: _Job, left: Mapping[str, str], goal: _Goal, vls: int) -> None:
    """Make OpenSM send tables that its own copy says are there already: a harmless value, then the wanted one."""
    for kind, place in left.items():
        key = tables.OPTION_OF[kind]
        text = goal.options.get(key, "(null)")
        if goal.options.get("qos") != "TRUE" or tables.parse_table(kind, text) != goal.tables[kind]:
            lead = tables.table_text(kind, goal.tables[kind])
            raise RefusedError(
                f"{job.where}: {kind} of {place} cannot become {lead} while qos is {goal.options.get('qos')} "
                f"and {key} is {text}: make them agree"
            )
    _program(job, {**goal.lines, **tables.detours(left, goal.tables, vls)})
    _program(job, goal.lines)
