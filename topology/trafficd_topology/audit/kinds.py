"""What sort of file is this? Recognised by content, read into facts where there is a reader, else named with a reason.

One list, looked through in order: the first kind whose test holds has the file. A reader never raises on any text;
what it cannot make sense of is a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trafficd_topology.audit.facts import (
    ConfFacts,
    Count,
    EthernetQos,
    Facts,
    NodeFacts,
    PortFacts,
    SubnetFacts,
)
from trafficd_topology.audit.tree import tree_facts
from trafficd_topology.counters import Column
from trafficd_topology.model import LinkLayer, Problem
from trafficd_topology.parsers.ethtool import NAMES, Name, statistic, statistics_text
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.mlnx_qos import parse_mlnx_qos
from trafficd_topology.parsers.opensm_conf import conf_lines
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.parsers.rdma_tools import (
    RdmaPort,
    panic,
    parse_ibstat,
    parse_ibstatus,
    parse_rdma_link,
    parse_rdma_statistic,
)
from trafficd_topology.parsers.subnet_files import parse_subnets
from trafficd_topology.parsers.sysfs import HW_COUNTERS, STATISTICS

MAX_FILE_BYTES = 16 * 2**20
HEAD = 65_536
"""Characters that a file is recognised by."""
TELLING = 2_000
"""Names of counters that a driver is recognised by."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a file came to: facts, or the reason why there are none. Both where only a part could be read."""

    kind: str
    facts: Facts | None = None
    reason: str = ""


Reader = Callable[[str, str], Judged]
"""(path, text) -> what it holds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of file, how to tell it, and its reader; without one it is recognised, and ``why`` not judged."""

    name: str
    test: Callable[[str], bool]
    read: Reader | None = None
    why: str = "there is no reader for it yet"


def _has(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.MULTILINE)
    return lambda head: compiled.search(head) is not None


_CONF_KEY = re.compile(
    r"(qos(_\w+)?|max_op_vls|guid|m_key|sm_\w+|sweep_\w+|routing_engine|subnet_prefix|lmc|log_\w+|osm_\w+|babbling_\w+|no_\w+|\w+_file|\w+_timeout)"
)


def is_conf(head: str) -> bool:
    """Every line is an option by its form, and half of them are known, or those that every such file has are there."""
    keys = [line.key for line in conf_lines(head)]
    formed = sum(bool(_CONF_FORM.fullmatch(k)) for k in keys)
    known = sum(bool(_CONF_KEY.fullmatch(k)) for k in keys)
    ours = any(k in {"max_op_vls", "qos", "routing_engine"} or k.startswith("qos_") for k in keys)
    whole = {"max_op_vls", "routing_engine"} <= set(keys)
    return ours and formed >= 0.95 * len(keys) and (whole or 2 * known >= len(keys))


def read_conf(path: str, text: str) -> Judged:
    lines = conf_lines(text)
    values: dict[str, set[str]] = {}
    for line in lines:
        values.setdefault(line.key, set()).add(line.value)
    conf = ConfFacts(
        path,
        tuple({line.key: line.value for line in lines}.items()),
        tuple(k for k, found in values.items() if len(found) > 1),
        tuple(dict.fromkeys(line.key for line in lines if line.cut)),
    )
    return Judged("opensm.conf", Facts(subnets=(conf,)))


_CONF_FORM = re.compile(r"[a-z][a-z0-9_]*")
_PORT_IN_NAME = re.compile(r"(?:eth|en[opsx]|ib|bond)\d\w*")
_GENERIC: dict[str, Name] = {
    name: Name(re.compile(name), file.quantity, name[:2], file.kind) for name, file in STATISTICS.items()
}


def _driver(names: list[str]) -> str:
    """The driver whose table knows most of these names; empty when none knows three."""
    known = {d: sum(statistic(d, n) is not None for n in names[:TELLING]) for d in NAMES}
    best = max(known, key=lambda d: known[d])
    return best if known[best] >= 3 else ""


def read_ethtool(path: str, text: str) -> Judged:
    """The driver is told by the names of its counters; the generic ones count where its table has no better."""
    values = statistics_text(text)
    if not values:
        return Judged("ethtool -S", reason="it is the output of ethtool -S and holds no statistics")
    driver = _driver(list(values))
    found: dict[object, Count] = {}
    for name, value in values.items():
        meaning = statistic(driver, name) or (_GENERIC[name].match(name) if name in _GENERIC else None)
        if meaning is not None:
            column = Column(
                _port(path), meaning.quantity, meaning.direction, meaning.kind, priority=meaning.priority
            )
            found.setdefault(column.identity, Count(column, value))
    if not found:
        return Judged("ethtool -S", reason="none of its counters is of a driver that the audit knows")
    port = PortFacts(_port(path), LinkLayer.ETHERNET)
    node = NodeFacts(path, (port,), tuple(found.values()))
    return Judged("ethtool -S", Facts((node,)))


def _port(path: str) -> str:
    """The interface that the file's name ends with, as support reports name them."""
    named = _PORT_IN_NAME.findall(path.rpartition("/")[2])
    return named[-1] if named else "port"


def _rdma_ports(path: str, kind: str, ports: tuple[RdmaPort, ...], reason: str = "") -> Judged:
    if not ports:
        return Judged(kind, reason=reason or f"it is the output of {kind} and names no port")
    facts = tuple(
        PortFacts(
            p.name,
            p.link_layer or LinkLayer.ETHERNET,
            rate_bps=p.rate_bps,
            up=p.state == "ACTIVE" if p.state else None,
            state=p.state,
            physical=p.physical,
            model=p.model,
            rdma=True,
        )
        for p in ports
    )
    return Judged(kind, Facts((NodeFacts(path, facts),)), reason)


def read_ibstat(path: str, text: str) -> Judged:
    gave_up = panic(text)
    reason = f"it ends early and what came after is not judged: {gave_up}" if gave_up else ""
    return _rdma_ports(path, "ibstat", parse_ibstat(text), reason)


def read_ibstatus(path: str, text: str) -> Judged:
    return _rdma_ports(path, "ibstatus", parse_ibstatus(text))


def read_rdma_link(path: str, text: str) -> Judged:
    return _rdma_ports(path, "rdma link", parse_rdma_link(text))


def read_rdma_statistic(path: str, text: str) -> Judged:
    """Counters of the device's own engine, by the names of sysfs."""
    found = parse_rdma_statistic(text)
    counts = [
        Count(Column(s.port, file.quantity, file.direction, file.kind), value)
        for s in found
        for name, value in s.values
        if (file := HW_COUNTERS.get(name)) is not None
    ]
    if not counts:
        return Judged("rdma statistic", reason="none of its counters is one that the audit knows")
    ports = tuple(PortFacts(s.port, LinkLayer.ETHERNET, rdma=True) for s in found)
    return Judged("rdma statistic", Facts((NodeFacts(path, ports, tuple(counts)),)))


def read_mlnx_qos(path: str, text: str) -> Judged:
    qos = parse_mlnx_qos(text)
    if qos is None:
        return Judged("mlnx_qos", reason="it is the output of mlnx_qos and shows no setting")
    return Judged(
        "mlnx_qos", Facts(ethernet=(EthernetQos(path, qos.trust, qos.pfc, qos.tsa, qos.host_controlled),))
    )


def _placed(path: str, problems: tuple[Problem, ...]) -> Facts:
    return Facts(
        problems=tuple(Problem(f"{path}: {p.path}" if p.path else path, p.value, p.reason) for p in problems)
    )


def read_policy(path: str, text: str) -> Judged:
    return Judged("policy file", _placed(path, parse_policies(text)[1]))


def read_fabric(path: str, text: str) -> Judged:
    return Judged("fabric file", _placed(path, parse_fabric(text)[1]))


def _json_with(*keys: str) -> Callable[[str], bool]:
    """A JSON text that names one of these keys or beginnings of keys."""
    marks = tuple(f'"{k}' for k in keys)
    return lambda head: head.lstrip()[:1] in ("{", "[") and any(m in head for m in marks)


def read_tree_json(path: str, text: str) -> Judged:
    """A saved tree as one JSON object, from path to content."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return Judged("sysfs in JSON", reason="it is cut off or no JSON")
    files = (
        {k.lstrip("/"): v for k, v in tree.items() if isinstance(v, str)} if isinstance(tree, dict) else {}
    )
    return judge_tree(path, files, "sysfs in JSON")


def judge_tree(path: str, files: Mapping[str, str], kind: str = "sysfs tree") -> Judged:
    """What a saved tree of /sys comes to; ``files`` maps paths below its root to what they hold."""
    node = tree_facts(path, files)
    if not node.ports:
        return Judged(kind, reason="it is a tree of /sys and holds no port of an RDMA or Ethernet device")
    return Judged(kind, Facts((node,)))


def _is_json_lines(head: str) -> bool:
    first, _, rest = head.partition("\n")
    try:
        return bool(rest) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _read_subnets(name: str) -> Reader:
    """Output of the tools that show a whole subnet, each dump in it for itself."""

    def read(path: str, text: str) -> Judged:
        found = parse_subnets(text)
        if not found:
            return Judged(name, reason=f"it looks like {name} and no node of a subnet is in it")
        names = [path] if len(found) == 1 else [f"{path} (dump {i})" for i in range(1, len(found) + 1)]
        return Judged(name, Facts(found=tuple(SubnetFacts(n, s) for n, s in zip(names, found, strict=True))))

    return read


KINDS: tuple[Kind, ...] = (
    Kind("policy file", _has(r"^policies:"), read_policy),
    Kind("fabric file", _has(r"^hosts:"), read_fabric),
    Kind("ibstat", _has(r"^CA '.*'\s*$|^ibpanic:"), read_ibstat),
    Kind("ibstatus", _has(r"^Infiniband device '.*' port \d+ status:"), read_ibstatus),
    Kind("mlnx_qos", _has(r"^Priority trust state:|^DCBX mode:|^PFC configuration:"), read_mlnx_qos),
    Kind("rdma link", _has(r"^(\d+: )?link \S+/\d+ state \w+ physical_state "), read_rdma_link),
    Kind("sysfs in JSON", _json_with("/sys/bus/", "/sys/class/", "/sys/devices/"), read_tree_json),
    Kind("rdma statistic", _json_with("np_cnp_sent", "rx_write_requests", "tx_rdma_"), read_rdma_statistic),
    Kind("ethtool -S", _has(r"^NIC statistics:\s*$|^no stats available|^# ethtool -S "), read_ethtool),
    Kind(
        "ethtool -S",
        _has(
            r"^[ \t]*(link_xo(n|ff)_[rt]x\.nic|[rt]x_prio_?\d+_(bytes|packets|pause)|[rt]x_pb_\d_pxoff): \d+\s*$"
        ),
        read_ethtool,
    ),
    Kind("opensm.conf", is_conf, read_conf),
    Kind(
        "ibnetdiscover dump",
        _has(r"^(Switch|Ca|Rt)\s+\d+ \"[SHR]-|^# Topology file: generated on"),
        _read_subnets("ibnetdiscover dump"),
    ),
    Kind(
        "ibnetdiscover port list",
        _has(r"^(CA|SW|RT)\s+\d+\s+\d+ 0x[0-9a-f]+ \S+ \S+"),
        _read_subnets("ibnetdiscover port list"),
    ),
    Kind("iblinkinfo output", _has(r"==\(.{0,120}\)==>"), _read_subnets("iblinkinfo output")),
    # Recognised, and not judged.
    Kind("Markdown", _has(r"^\|[ :-]*---|^```|\A# [^\n]+\n\n\w"), why="it is prose"),
    Kind("ibqueryerrors output", _has(r"^## Summary: \d+ nodes checked")),
    Kind("perfquery output", _has(r"^# (Port (extended )?counters|PortRcvErrorDetails counters)")),
    Kind("smpquery output", _has(r"^# (Port info|VLArbitration tables|SL2VL table|Node info|Switch info)")),
    Kind("saquery output", _has(r"^\w+Record dump:")),
    Kind("sminfo output", _has(r"^sminfo: sm lid")),
    Kind("ibswinfo output", _has(r"^part number\s+\|")),
    Kind("nvidia-smi topology matrix", _has(r"^[ \t]*(\x1b\[\d+m)?[ \t]*GPU0[ \t]+(GPU1|NIC0|CPU)")),
    Kind("NCCL topology file", _has(r"<system version=|<graphs version=")),
    Kind("hwloc topology", _has(r"<topology( version=|>)")),
    Kind("Kubernetes ResourceSlice", _has(r"^[ \t]*(- )?kind: ResourceSlice|^  kind: ResourceSlice")),
    Kind("lldpctl output", _has(r"^lldp\.\S+=|\"lldp\"\s*:|\"lldp_status\"\s*:")),
    Kind(
        "SONiC database",
        _json_with(
            "PORT_QOS_MAP",
            "BUFFER_PG",
            "BUFFER_POOL",
            "COUNTERS",
            "TC_TO_PRIORITY",
            "SAI_",
            "CABLE_LENGTH",
            "QUEUE|",
        ),
    ),
    Kind(
        "SONiC command output",
        _has(
            r"^[ \t]*(Port (Rx|Tx)\b|(Ingress|Egress) (shared|headroom) pool|Profile: |PORT +ACTION|QUEUE +STATUS|.*watermark|Port +TxQ)|PFC0\s+PFC1|\bUC0\b|\bMC\d+\b|\bPG0\b|Ethernet0"
        ),
    ),
    Kind("dcbtool output", _has(r"^Feature:\s+Priority Groups|^Command:\s+Get Oper")),
    Kind("nicctl output", _json_with("nic", "card", "rdma link")),
    Kind("ip output", _has(r"^\d+: \S+: <[A-Z_,]+> mtu |\"ifindex\"\s*:")),
    Kind("UFM or NetQ export", _json_with('type": "full', "node_guid", "CreatedAt", "Node_GUID", "values")),
    Kind("Slurm topology", _has(r"^SwitchName=")),
    Kind("a trace of requests", _is_json_lines, why="it describes no network"),
    Kind("comma-separated values", _has(r"\A#?[\w ]+(,[\w ]+)+\r?\n")),
)


def judge(path: str, data: bytes) -> Judged:
    """What a file comes to. Never raises."""
    if len(data) > MAX_FILE_BYTES:
        return Judged("", reason=f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
    if b"\0" in data[:HEAD]:
        return Judged("", reason="it is binary, and the audit reads text")
    text = data.decode("utf-8", "replace")
    if not text.strip():
        return Judged("", reason="it is empty")
    kind = next((k for k in KINDS if k.test(text[:HEAD])), None)
    if kind is None:
        return Judged("", reason=f"it is of no kind that the audit knows (it begins {_begins(text)})")
    if kind.read is None:
        return Judged(kind.name, reason=f"recognised as {kind.name}: {kind.why}")
    return kind.read(path, text)


def _begins(text: str) -> str:
    line = " ".join(text.split())
    shown = "".join(c if c.isprintable() else "?" for c in line[:40])
    return repr(shown + ("..." if len(line) > 40 else ""))
