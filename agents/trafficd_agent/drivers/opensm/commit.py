"""Carrying out a batch of changes: check, write the files, signal, wait for the sweep, send drifted tables again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trafficd_agent.driver import BusyError, DriverError, ForeignError, GoneError, RefusedError
from trafficd_agent.drivers.opensm import tables
from trafficd_agent.drivers.opensm.options import OpensmOptions
from trafficd_agent.drivers.opensm.process import DEFAULT_LOG, Process, find, hang_up
from trafficd_agent.drivers.opensm.running import note, unapplied
from trafficd_agent.drivers.opensm.smp import Smp
from trafficd_agent.drivers.opensm.survey import Port
from trafficd_agent.drivers.opensm.sweep import POLL_SECONDS, Activity, mark, refusal, since, swept
from trafficd_agent.drivers.opensm.texts import Texts, edited, read_texts, write_texts
from trafficd_topology.diff import Change
from trafficd_topology.parsers.opensm_conf import MANAGED, MANAGED_BY_TYPE, edit_conf

SIGNALLED = frozenset({"option", "file", tables.HIGH_LIMIT, tables.OP_VLS, "path_sl"})
"""Kinds that a sweep of the whole subnet brings into force. OpenSM sets a port's high limit and its operational VLs in
every sweep where it reads another one."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One batch on one fabric, with what was found before it."""

    options: OpensmOptions
    smp: Smp
    process: Process
    ports: tuple[Port, ...]

    @property
    def where(self) -> str:
        return f"fabric {self.options.fabric}"


@dataclass(frozen=True, slots=True)
class _Goal:
    """What a batch leads to: the files, all options in them, what every port must hold, and whether pairs may change."""

    texts: Texts
    options: Mapping[str, str]
    tables: tables.Tables
    pairs: bool


def log_of(options: OpensmOptions, process: Process, conf: Mapping[str, str]) -> Path | None:
    """OpenSM's log; None when it writes none to a file."""
    name = options.log or process.log or conf.get("log_file", DEFAULT_LOG)
    return None if name in {"stdout", "stderr", "(null)"} else Path(name)


def commit_files(options: OpensmOptions, changes: tuple[Change, ...]) -> None:
    """Write the files and nothing else, beside a standby that reads them when it takes over. Raises DriverError."""
    before = read_texts(Path(options.conf))
    write_texts(before, edited(before, changes))


def commit(options: OpensmOptions, smp: Smp, changes: tuple[Change, ...]) -> None:
    """Bring all changes into force. Raises DriverError; nothing is written when the values are refused."""
    process = find(options)
    if process.state == "T":
        raise BusyError(
            f"fabric {options.fabric}: OpenSM (pid {process.pid}) is stopped: continue it with kill -CONT {process.pid}"
        )
    job = _Job(options, smp, process, smp.ports().ports)
    before = read_texts(Path(options.conf))
    after = edited(before, changes)
    if sentences := unapplied(before, process, log_of(options, process, before.options)):
        raise ForeignError(sentences[0])
    final = after.options
    _check(job, before.options, final)
    goal = _Goal(after, final, tables.wanted_tables(changes, final), tables.switch_pairs(changes))
    signalled = any(c.kind in SIGNALLED for c in changes)
    if signalled:
        _program(job, before, after)
    if left := _left(job, goal, settle=signalled):
        _send_again(job, left, goal)


def _check(job: _Job, now: Mapping[str, str], final: Mapping[str, str]) -> None:
    """RefusedError when a value is outside of what ports can hold once the batch is in force.

    A change of the operational VLs puts every value to the test, else those that change.
    """
    fewer = now.get("max_op_vls") != final.get("max_op_vls")
    ours = [k for k in (*MANAGED, *MANAGED_BY_TYPE) if k in final]
    tested = {k: final[k] for k in ours if fewer or now.get(k) != final[k]}
    if found := tables.problems(job.ports, tested, final.get("max_op_vls") if fewer else None):
        raise RefusedError(f"{job.where}: {'; '.join(map(str, found))}")


def _program(job: _Job, before: Texts, after: Texts) -> None:
    """Write the files, signal, and wait until OpenSM has swept the subnet. Raises DriverError."""
    note(after, job.process)
    write_texts(before, after)
    log = log_of(job.options, job.process, after.options)
    start = mark(log)
    activity = Activity(job.smp.activity, len(job.ports), time.monotonic())
    hang_up(job.process)
    until = time.monotonic() + job.options.sweep_seconds
    while not (swept(since(start), start) or activity.settled(time.monotonic())):
        if find(job.options).identity != job.process.identity:
            raise GoneError(
                f"{job.where}: OpenSM (pid {job.process.pid}) ended or started anew in the middle: try again"
            )
        if time.monotonic() > until:
            raise _not_swept(job, since(start), log)
        time.sleep(POLL_SECONDS)
    if line := refusal(since(start)):
        raise RefusedError(f"{job.where}: OpenSM refused a file it read again: {line}")


def _not_swept(job: _Job, lines: list[str], log: Path | None) -> DriverError:
    errors = [line.partition("-> ")[2] for line in lines if "ERR " in line]
    said = f"it logged {errors[-1]}" if errors else f"look into {log or 'its output'}"
    return BusyError(
        f"{job.where}: OpenSM (pid {job.process.pid}) did not sweep the subnet within "
        f"{job.options.sweep_seconds:g} s of SIGHUP: {said}; a standby or hung subnet manager programs nothing"
    )


def _left(job: _Job, goal: _Goal, *, settle: bool) -> dict[tuple[str, str], str]:
    """Tables that ports still hold otherwise; after a sweep, given a little time to settle."""
    until = time.monotonic() + (job.options.settle_seconds if settle else 0.0)
    while goal.tables:
        survey = job.smp.survey(None if goal.pairs else 0)
        left = tables.differing(survey, goal.tables)
        if not left or time.monotonic() >= until:
            return left
        time.sleep(POLL_SECONDS)
    return {}


def _send_again(job: _Job, left: Mapping[tuple[str, str], str], goal: _Goal) -> None:
    """Make OpenSM send tables that its own copy says are there already: a harmless value, then the wanted one."""
    lines: dict[str, str | None] = {}
    for (kind, port_type), place in left.items():
        wanted = goal.tables[kind, port_type]
        key, text = tables.option_in_force(goal.options, kind, port_type)
        if goal.options.get("qos") != "TRUE" or tables.parse_table(kind, text) != wanted:
            lead = tables.table_text(kind, wanted)
            raise RefusedError(
                f"{job.where}: {kind} of {place} cannot become {lead} while qos is {goal.options.get('qos')} "
                f"and {key} is {text or 'not set'}: make them agree"
            )
        vls = tables.limits(job.ports, None).vls
        lines[key] = tables.table_text(kind, tables.detour(kind, wanted, vls))
    detour = goal.texts.with_conf(edit_conf(goal.texts.conf, lines))
    _program(job, goal.texts, detour)
    _program(job, detour, goal.texts)
