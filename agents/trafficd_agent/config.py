"""Settings of the agent: a YAML file, every problem of it at once.

node: gpu-17                      # default: the host name
controller: 127.0.0.1:7600        # or a list
insecure: false                   # plaintext to other machines
tls:                              # default: plaintext
  dir: /etc/trafficd/tls          # ca.crt, tls.crt, tls.key, read at every connection
  enroll: 10.0.0.1:7603           # where to get tls.crt and tls.key with a token; default: they are put there
  token_file: /etc/trafficd/token
  ca_file: /etc/trafficd/ca.crt     # whom to trust while enrolling; default: ca.crt of dir
  ca_fingerprint: ""               # SHA-256 of it, where that file is not there: it is asked of the controller
state_dir: /var/lib/trafficd-agent
http: 127.0.0.1:7602              # "" serves nothing
sysfs: /sys
verify_seconds: 30
deadline_seconds: 10
telemetry_milliseconds: 1000      # until a controller says otherwise
drain_hook: [/usr/local/bin/drained]   # called with "port" or "fabric" and its name; exit 0: a flap breaks nothing
ports:                            # the first match that names the driver counts
  - {match: "eth*", driver: tc, options: {allow_fast: false}}
fabrics:
  - {name: ib0, driver: opensm, options: {}}
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Any

from trafficd_topology.model import Problem, ScopeKind
from trafficd_topology.parsers.tree import Mapping, load


@dataclass(frozen=True, slots=True)
class DriverRule:
    """Scopes whose name matches may be programmed by this driver. ``options`` are as written; the driver reads them."""

    kind: ScopeKind
    match: str
    driver: str
    options: Any
    path: str


@dataclass(frozen=True, slots=True)
class Tls:
    """``dir`` holds ca.crt, tls.crt and tls.key; empty: plain text. ``enroll``: where to get the latter two."""

    dir: str = ""
    enroll: str = ""
    token_file: str = ""
    ca_file: str = ""
    ca_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """See the module."""

    node: str
    controllers: tuple[str, ...] = ("127.0.0.1:7600",)
    insecure: bool = False
    tls: Tls = Tls()
    state_dir: str = "/var/lib/trafficd-agent"
    http: str = "127.0.0.1:7602"
    sysfs: str = "/sys"
    verify_s: float = 30.0
    deadline_s: float = 10.0
    telemetry_ms: int = 1000
    drain_hook: tuple[str, ...] = ()
    rules: tuple[DriverRule, ...] = tuple(
        DriverRule(ScopeKind.PORT, "*", driver, None, f"ports[{i}]") for i, driver in enumerate(("dcb", "tc"))
    )


def default_config() -> Config:
    return Config(socket.gethostname())


def is_address(text: str) -> bool:
    """``host:port``, the port 0 to 65535."""
    host, colon, port = text.rpartition(":")
    return bool(colon and host and port.isascii() and port.isdigit() and int(port) < 65536)


ADDRESS = "must be host:port"


def plain_fingerprint(text: str) -> str:
    """SHA-256 as 64 hex digits; ``sha256:`` before it and colons within it are taken off."""
    return text.strip().lower().removeprefix("sha256:").replace(":", "")


def is_fingerprint(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", plain_fingerprint(text)) is not None


FINGERPRINT = "must be a SHA-256 fingerprint of 64 hex digits, as trafficd certs init prints it"


def parse_config(text: str | bytes) -> tuple[Config | None, tuple[Problem, ...]]:
    """The settings and every problem with them; with problems they are only fit to look for more of them."""
    tree, found = load(text)
    if found:
        return None, found
    m = Mapping(tree, "", problems := list[Problem]())
    config = _config(m)
    m.done()
    return config, tuple(problems)


def _config(m: Mapping) -> Config:
    base = default_config()
    return Config(
        node=m.text("node", base.node),
        controllers=_controllers(m) or base.controllers,
        insecure=m.flag("insecure", default=False),
        tls=_tls(m),
        state_dir=m.text("state_dir", base.state_dir),
        http=_http(m, base.http),
        sysfs=m.text("sysfs", base.sysfs),
        verify_s=m.number("verify_seconds", base.verify_s, low=0.1, high=86400),
        deadline_s=m.number("deadline_seconds", base.deadline_s, low=0.1, high=3600),
        telemetry_ms=m.whole("telemetry_milliseconds", base.telemetry_ms, low=10, high=3_600_000),
        drain_hook=_words(m, "drain_hook"),
        rules=_rules(m) or base.rules,
    )


def _controllers(m: Mapping) -> tuple[str, ...]:
    raw = m.raw("controller")
    rows = [(m.at("controller"), raw)] if isinstance(raw, str) else list(m.items("controller"))
    for path, row in rows:
        if not isinstance(row, str) or not is_address(row):
            m.problems.append(Problem(path, str(row), ADDRESS))
    return tuple(str(row) for _, row in rows)


def _tls(m: Mapping) -> Tls:
    if (row := m.mapping("tls")) is None:
        return Tls()
    found = Tls(
        row.text("dir", ...),
        row.text("enroll", ""),
        row.text("token_file", ""),
        row.text("ca_file", ""),
        _fingerprint(row),
    )
    if found.enroll and not is_address(found.enroll):
        row.problem("enroll", found.enroll, ADDRESS)
    if bool(found.enroll) != bool(found.token_file):
        row.problem("enroll", found.enroll, "needs token_file, and token_file needs it")
    row.done()
    return found


def _fingerprint(row: Mapping) -> str:
    text: str = row.text("ca_fingerprint", "")
    if text and not is_fingerprint(text):
        row.problem("ca_fingerprint", text, FINGERPRINT)
    return text


def _words(m: Mapping, key: str) -> tuple[str, ...]:
    found = []
    for path, row in m.items(key):
        if isinstance(row, str) and row:
            found.append(row)
        else:
            m.problems.append(Problem(path, str(row), "must be a word"))
    return tuple(found)


def _http(m: Mapping, default: str) -> str:
    raw = m.raw("http")
    if raw is None or raw == "":
        return default if raw is None else ""
    if not isinstance(raw, str) or not is_address(raw):
        m.problem("http", raw, f'{ADDRESS}, or "" to serve nothing')
        return default
    return raw


def _rules(m: Mapping) -> tuple[DriverRule, ...]:
    rows = [_rule(row, ScopeKind.PORT, "match") for row in m.mappings("ports")]
    rows += [_rule(row, ScopeKind.FABRIC, "name") for row in m.mappings("fabrics")]
    return tuple(r for r in rows if r.driver is not None)


def _rule(m: Mapping, kind: ScopeKind, name: str) -> DriverRule:
    rule = DriverRule(kind, m.text(name, ...), m.text("driver", ...), m.raw("options"), m.path)
    m.done()
    return rule
