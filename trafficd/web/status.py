"""The status page and the JSON it is drawn from. Read-only; made on the server's threads and at most twice a second."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from trafficd import __version__
from trafficd.core.live import LaneNow, Live, NicNow, Now, lanes_of, live, nic_now
from trafficd_topology.drawing import Drawing, draw
from trafficd_topology.model import FabricSpec

FRESH_S = 0.45
"""One picture serves everybody who asks within this time, so that many pages cost what one does."""
MOST_NAME = 512
HTML, CSS, SCRIPT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"
JSON = "application/json"
STATIC = {
    "/": ("index.html", HTML),
    "/page.css": ("page.css", CSS),
    "/page.js": ("page.js", SCRIPT),
}


@dataclass(frozen=True, slots=True)
class Document:
    """``etag`` names its content."""

    content_type: str
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class NicDetail:
    """One NIC with its lanes."""

    nic: NicNow
    lanes: tuple[LaneNow, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """``fabric`` is the entity tag of the drawing that ``live`` belongs to, ``program`` our version."""

    program: str
    fabric: str
    live: Live


@dataclass(frozen=True, slots=True)
class NicColumns:
    """What changes of every NIC, in the order of the drawing's."""

    transmit_bps: tuple[int | None, ...]
    receive_bps: tuple[int | None, ...]
    rate_bps: tuple[int, ...]
    utilisation: tuple[float | None, ...]
    up: tuple[int, ...]


def document(content_type: str, body: bytes) -> Document:
    return Document(content_type, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _plain(value: object) -> dict[str, Any]:
    """A dataclass that ``json`` has met."""
    found: dict[str, Any] = {f.name: getattr(value, f.name) for f in fields(value)}  # type: ignore[arg-type]
    if isinstance(value, Live):
        found["nics"] = _columns(value)
    if isinstance(value, NicNow):
        found["utilisation"] = value.utilisation
    return found


def _columns(picture: Live) -> NicColumns:
    nics = picture.nics
    used = [n.utilisation for n in nics]
    return NicColumns(
        tuple([n.transmit_bps if n.fresh else None for n in nics]),
        tuple([n.receive_bps if n.fresh else None for n in nics]),
        tuple([n.rate_bps for n in nics]),
        tuple([None if u is None else round(u, 4) for u in used]),
        tuple([int(n.up) for n in nics]),
    )


def as_json(value: object) -> Document:
    """Names are whatever somebody called them: they are escaped by whoever shows them."""
    return document(JSON, json.dumps(value, default=_plain, separators=(",", ":")).encode())


class StatusPage:
    """``now`` is asked for what there is at this moment; from any thread."""

    def __init__(self, now: Callable[[], Now]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._live: Document | None = None
        self._made_at = 0.0
        self._drawn: tuple[FabricSpec | None, Document] | None = None
        self._static = {
            path: document(kind, (files(__package__) / "page" / name).read_bytes())
            for path, (name, kind) in STATIC.items()
        }

    def answer(self, path: str, query: str) -> Document | None:
        """What a GET of ``path`` is told; None for a path that is not ours."""
        match path:
            case "/api/v1/live":
                return self._latest()
            case "/api/v1/fabric":
                return self._fabric()
            case "/api/v1/nic":
                return self._nic(query)
            case _:
                return self._static.get(path)

    def _latest(self) -> Document:
        with self._lock:
            if self._live is None or time.monotonic() - self._made_at > FRESH_S:
                now = self._now()
                self._live = as_json(Picture(__version__, self._drawing(now.state.spec).etag, live(now)))
                self._made_at = time.monotonic()
            return self._live

    def _fabric(self) -> Document:
        with self._lock:
            return self._drawing(self._now().state.spec)

    def _drawing(self, spec: FabricSpec | None) -> Document:
        """Made anew where the fabric or a role has changed."""
        if self._drawn is None or self._drawn[0] != spec:
            drawing = Drawing("", 0, 0, (), (), (), (), ()) if spec is None else draw(spec)
            self._drawn = spec, as_json(drawing)
        return self._drawn[1]

    def _nic(self, query: str) -> Document | None:
        """``?index=N``: a NIC by its place in the drawing."""
        asked = parse_qs(query[:MOST_NAME]).get("index", [""])[0]
        now = self._now()
        nics = () if now.frame is None else now.frame.nics
        if not asked.isascii() or not asked.isdigit() or len(asked) > 9 or int(asked) >= len(nics):
            return None
        nic = nics[int(asked)]
        picture = nic_now(nic, now)
        return as_json(NicDetail(picture, lanes_of((nic,), now.state, now.telemetry)))
