"""opensm.conf and the two files that it names, as one: what is in them, and what they become. Pure but for read and write.

Of opensm.conf the lines that lanes are made of are ours, of the partition file the block between our marker lines. The
QoS policy file is ours as a whole, once it is there by our hand; one that somebody else wrote is left alone, and a
policy that needs one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trafficd_agent.driver import BusyError, ForeignError
from trafficd_agent.drivers.opensm.conf import read_beside, read_conf, write_beside, write_conf
from trafficd_topology.diff import Change, Element
from trafficd_topology.parsers.opensm_conf import MANAGED, MANAGED_BY_TYPE, edit_conf, is_unset, parse_conf
from trafficd_topology.qos.ib import IbFile, IbOption
from trafficd_topology.qos.ib_files import HEAD, partition_block, with_partition_block

QOS_POLICY, PARTITIONS = "qos_policy", "partitions"
"""Keys of elements of kind ``file``."""
DEFAULTS = {
    "qos_policy_file": "/etc/opensm/qos-policy.conf",
    "partition_config_file": "/etc/opensm/partitions.conf",
}
DEFAULT_PARTITION = "# The default partition, as OpenSM makes it without this file.\nDefault=0x7fff, ipoib : ALL=full, SELF=full;\n"
"""With a partition file that does not say otherwise all ports but OpenSM's own are limited members of it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The files as they are; one that is not there is empty."""

    conf_path: Path
    policy_path: Path
    partitions_path: Path
    conf: str
    policy: str
    partitions: str

    @property
    def options(self) -> dict[str, str]:
        return parse_conf(self.conf)

    def with_conf(self, text: str) -> Texts:
        return replace(self, conf=text)

    @property
    def our_policy(self) -> str:
        """The QoS policy file where it is ours."""
        return self.policy if self.policy.startswith(HEAD) else ""


def read_texts(conf: Path) -> Texts:
    """Raises DriverError."""
    text = read_conf(conf)
    options = parse_conf(text)
    policy, partitions = (Path(options.get(key, default)) for key, default in DEFAULTS.items())
    return Texts(conf, policy, partitions, text, read_beside(policy), read_beside(partitions))


def write_texts(old: Texts, new: Texts) -> None:
    """Write those that changed, opensm.conf last. Raises DriverError; then some may be written."""
    if new.policy != old.policy:
        write_beside(new.policy_path, new.policy, new.conf_path)
    if new.partitions != old.partitions:
        write_beside(new.partitions_path, new.partitions, new.conf_path)
    if new.conf != old.conf:
        write_conf(new.conf_path, new.conf)


def text_elements(texts: Texts) -> Iterator[Element]:
    """What is ours in the files. An option for one type of port that is set counts; unset it is no option."""
    options = texts.options
    yield from (Element("option", k, IbOption(options[k])) for k in MANAGED if k in options)
    for key in MANAGED_BY_TYPE:
        if key in options and not is_unset(key, options[key]):
            yield Element("option", key, IbOption(options[key]))
    if texts.our_policy:
        yield Element("file", QOS_POLICY, IbFile(texts.our_policy))
    if block := partition_block(texts.partitions):
        yield Element("file", PARTITIONS, IbFile(block))


def edited(texts: Texts, changes: tuple[Change, ...]) -> Texts:
    """The files after these changes, provided that they still hold what the changes start from.

    Raises BusyError when somebody changed them meanwhile, ForeignError when a file is somebody else's.
    """
    held = {e.name: e.value for e in text_elements(texts)}
    after = texts
    lines: dict[str, str | None] = {}
    for change in changes:
        if change.kind not in {"option", "file"}:
            continue
        if held.get(change.name) != change.old:
            raise BusyError(_meanwhile(texts, change, held))
        text = None if change.new is None else change.new.text
        if change.kind == "option":
            lines[change.key] = text
        elif change.key == PARTITIONS:
            after = replace(after, partitions=_with_block(texts.partitions, text or ""))
        else:
            after = replace(after, policy=_policy(texts, text or ""))
    return replace(after, conf=edit_conf(texts.conf, lines))


def _meanwhile(texts: Texts, change: Change, held: Mapping[str, IbOption | IbFile]) -> str:
    paths = {QOS_POLICY: texts.policy_path, PARTITIONS: texts.partitions_path}
    if change.kind == "file":
        return f"{paths[change.key]} was changed by somebody else meanwhile: try again"
    found = held.get(change.name)
    now = found.text if found else "nothing"
    return f"{texts.conf_path}: {change.key} was changed to {now} by somebody else meanwhile: try again"


def _policy(texts: Texts, text: str) -> str:
    if texts.policy.strip() and not texts.our_policy:
        raise ForeignError(
            f"{texts.policy_path} holds rules that are not ours and would decide the SL of paths: take it away, or name "
            "another file as qos_policy_file in opensm.conf and restart OpenSM"
        )
    return text


def _with_block(text: str, block: str) -> str:
    after = with_partition_block(text or DEFAULT_PARTITION, block)
    return "" if after == DEFAULT_PARTITION else after


def rest_of(texts: Texts) -> Mapping[str, tuple[str, ...]]:
    """Everything that is not ours, a setting a line, by file: what a signal would bring into force besides."""
    ours = {*MANAGED, *MANAGED_BY_TYPE}
    others = tuple(f"{k} {v}" for k, v in sorted(texts.options.items()) if k not in ours)
    partitions = _with_block(texts.partitions, "") if texts.partitions else ""
    return {
        str(texts.conf_path): others,
        str(texts.policy_path): () if texts.our_policy else _said(texts.policy),
        str(texts.partitions_path): _said(partitions),
    }


def _said(text: str) -> tuple[str, ...]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)
