"""Settings of the controller: what ``trafficd serve`` was told, checked before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

DEFAULT_LISTEN = "127.0.0.1:7600"
DEFAULT_HTTP = "127.0.0.1:7601"
DEFAULT_STATE = Path("/var/lib/trafficd/state.db")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``host:port`` or ``[v6 address]:port``. Raises ValueError with one sentence."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: write host:port, such as {DEFAULT_LISTEN}")
    return Address(host, int(port))


UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Listen:
    """One gRPC address: TCP, or a Unix socket by its path."""

    tcp: Address | None = None
    path: str = ""

    def __str__(self) -> str:
        return str(self.tcp) if self.tcp else f"{UNIX}{self.path}"

    @property
    def local(self) -> bool:
        """Reached from this machine alone, so that plain text is nobody else's to read."""
        if self.tcp is None:
            return True
        if self.tcp.host == "localhost":
            return True
        try:
            return ip_address(self.tcp.host).is_loopback
        except ValueError:
            return False


def parse_listen(text: str) -> Listen:
    """``host:port`` or ``unix:/absolute/path``. Raises ValueError with one sentence."""
    if not text.startswith(UNIX):
        return Listen(tcp=parse_address(text))
    path = text.removeprefix(UNIX)
    if not path.startswith("/"):
        raise ValueError(
            f"{text!r} is no address: write unix: and an absolute path, such as unix:/run/trafficd.sock"
        )
    return Listen(path=path)


@dataclass(frozen=True, slots=True)
class ControllerConfig:
    """Everything ``trafficd serve`` can be told; the addresses have defaults of their own above."""

    listen: tuple[Listen, ...]
    """gRPC: agents, schedulers and operators."""
    http: Address
    """/metrics, /healthz and /readyz."""
    state: Path = DEFAULT_STATE
    """The SQLite file; its directory must exist and be writable."""
    policy: Path | None = None
    """Policy file, read anew when it changes; None: policies come by ``trafficd apply`` alone."""
    fabric: Path | None = None
    """Fabric file, read anew when it changes; None: the one accepted last stays in force."""
    poll_s: float = 0.5
    """How often the two files are looked at, seconds."""
    tls: Path | None = None
    """Directory with ca.crt, tls.crt and tls.key, read anew when they change; None: plain text."""
    ca: Path | None = None
    """Directory with ca.crt, ca.key and tokens, to sign nodes' certificates; None: signs nothing."""
    enroll: Listen | None = None
    """Where nodes without a certificate enrol, TLS; None: nowhere."""
    service_account: str = ""
    """namespace/name whose pods' tokens enrol their nodes, asked of the Kubernetes API; empty: nobody's."""
    kubeconfig: Path | None = None
    """How to reach the Kubernetes API; None: as the pod that this is."""
    remind_s: float = 3600.0
    """How often what is not safe is said again, seconds."""
    publish_s: float = 0.5
    """How often the path engine gets a new snapshot, seconds."""
    telemetry_interval_ms: int = 500
    """How often agents send their counters, milliseconds."""
    recover: bool = False
    """Whether an operator may have this controller take over agents that are ahead of its state file."""
