"""What to bring to a subnet manager that is not ours: its files, what changes in its exported ones, the steps in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trafficd_topology.diff import State
from trafficd_topology.parsers.opensm_conf import edit_conf, parse_conf
from trafficd_topology.qos.ib import IbFile, IbOption
from trafficd_topology.qos.ib_files import with_partition_block

CONF, POLICY, PARTITIONS = "opensm.conf", "qos-policy.conf", "partitions.conf"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a sort of subnet manager takes its settings: ``apply`` for what goes under running traffic, ``restart``."""

    title: str
    where: str
    apply: str
    restart: str


MANNERS: Mapping[str, Manner] = {
    "ufm": Manner(
        "NVIDIA UFM",
        "Bring the lines into UFM's own opensm.conf (/opt/ufm/files/conf/opensm) on the active node, and the QoS policy "
        "file where that names it. UFM makes some lines anew from its gv.cfg: what verify finds missing afterwards belongs "
        "there. Partitions are UFM's own: make them in UFM, with the SL that the partition file names.",
        "Signal UFM's OpenSM on the active node: kill -HUP $(pidof opensm). The standby node needs the same files.",
        "A change of max_op_vls takes links down: drain the subnet, and restart UFM in place of the signal.",
    ),
    "switch": Manner(
        "a subnet manager on a managed switch",
        "Enter the values by the switch's own command line or web page, on every switch of the subnet manager's HA group; "
        "its manual names the settings that stand for these options, and those that it lacks cannot be had there.",
        "Restart the subnet manager on the master switch; another one of the group serves meanwhile.",
        "A change of max_op_vls takes links down: drain the subnet first.",
    ),
    "opensm": Manner(
        "an OpenSM without an agent beside it",
        "Copy the files to the hosts of all its subnet managers, opensm.conf where -F names it (/etc/opensm/opensm.conf).",
        "kill -HUP $(pidof opensm) where the master runs (sminfo tells the LID).",
        "A change of max_op_vls takes every port down whose operational VLs change: drain the subnet first.",
    ),
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """``files``: name -> text, ``changes``: a unified diff against what was exported, ``flaps``: links go down."""

    files: Mapping[str, str]
    changes: str
    flaps: bool


def rendered(desired: State, exported: str, partitions: str = "") -> Rendered:
    """The files for this state. ``exported`` is the subnet manager's own opensm.conf (empty: not known)."""
    lines = {e.key: e.value.text for e in desired if isinstance(e.value, IbOption)}
    texts = {e.key: e.value.text for e in desired if isinstance(e.value, IbFile)}
    files = {CONF: edit_conf(exported, lines)}
    if "qos_policy" in texts:
        files[POLICY] = texts["qos_policy"]
    if "partitions" in texts:
        files[PARTITIONS] = with_partition_block(partitions, texts["partitions"])
    was = parse_conf(exported).get("max_op_vls")
    flaps = bool(exported) and was != lines.get("max_op_vls", was)
    old = {CONF: exported, PARTITIONS: partitions}
    changes = "".join(text for name, new in files.items() for text in _unified(name, old.get(name, ""), new))
    return Rendered(files, changes, flaps)


def _unified(name: str, old: str, new: str) -> Iterator[str]:
    a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for line in difflib.unified_diff(a, b, f"exported/{name}", f"wanted/{name}", n=0):
        yield line if line.endswith("\n") else f"{line}\n"


def steps(manner: Manner, made: Rendered) -> tuple[str, ...]:
    """What a person does, in order."""
    return (
        f"1. Back up the configuration of {manner.title}.",
        f"2. {manner.where}",
        f"3. {manner.restart} Then: {manner.apply}" if made.flaps else f"3. {manner.apply} Traffic goes on.",
        "4. Read every port back from any host with umad: trafficd-agent subnet verify, with the same policy.",
    )


def wrong_ports(desired: State, observed: State) -> tuple[str, ...]:
    """One sentence for each table that is not as wanted; options and files are not looked at."""
    want = {e.name: e.value for e in desired if e.kind in {"vlarb_high", "vlarb_low", "sl2vl"}}
    have = {e.name: e.value for e in observed if e.kind in {"vlarb_high", "vlarb_low", "sl2vl"}}
    missing = (
        f"{name} should be {_text(v)} and reads {_text(have.get(name))}"
        for name, v in want.items()
        if have.get(name) != v
    )
    more = (f"{name} reads {_text(v)}, other than the rest" for name, v in have.items() if name not in want)
    return (*missing, *more)


def _text(table: object) -> str:
    entries = getattr(table, "entries", None)
    return "nothing" if entries is None else ",".join(map(str, entries))
