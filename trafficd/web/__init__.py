"""HTTP: the status page, /metrics, /healthz and /readyz, on threads of its own, so that a scrape never holds up the event loop."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from socketserver import TCPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from trafficd.web.status import StatusPage

log = logging.getLogger("trafficd.web")
Probe = Callable[[], str]
"""Returns an empty text when well, else one sentence that says what is not."""


class WebError(Exception):
    """The HTTP address cannot be used. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served. Probes and collectors are called on the server's threads and must not block."""

    registry: CollectorRegistry
    alive: Probe
    ready: Probe
    status: StatusPage | None = None


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    content_type: str
    body: bytes
    etag: str = ""


_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
SAFE = (
    # Nothing from anywhere else, no script or style within the document, no frame around it.
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),
)
TEXT = "text/plain; charset=utf-8"


def _probed(sentence: str) -> Page:
    body = sentence or "ok"
    return Page(503 if sentence else 200, TEXT, f"{body}\n".encode())


def page(pages: Pages, path: str) -> Page:
    """The answer to a GET of ``path``."""
    where, _, query = path.partition("?")
    match where:
        case "/metrics":
            return Page(200, CONTENT_TYPE_LATEST, generate_latest(pages.registry))
        case "/healthz":
            return _probed(pages.alive())
        case "/readyz":
            return _probed(pages.ready())
        case _:
            found = pages.status.answer(where, query) if pages.status else None
            if found is None:
                return Page(404, TEXT, b"try /, /metrics, /healthz or /readyz\n")
            return Page(200, found.content_type, found.body, found.etag)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: Pages

    def server_bind(self) -> None:
        """As inherited, without asking name servers for the name of our own address."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as inherited
        """A scraper that leaves before it has its page is no event."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("a page was not delivered to %s", client_address)
        else:
            log.error("a page failed: internal error", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(page(self.server.pages, self.path), with_body=True)

    def do_HEAD(self) -> None:
        self._answer(page(self.server.pages, self.path), with_body=False)

    def _refused(self) -> None:
        """Nothing here changes anything; what came with the request is not read."""
        self.close_connection = True
        self._answer(Page(405, TEXT, b"only GET and HEAD are answered\n"), with_body=True)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """http.server asks for ``do_`` and the method's name."""
        if name.startswith("do_"):
            return self._refused
        raise AttributeError(name)

    def _answer(self, answer: Page, *, with_body: bool) -> None:
        if answer.etag and self.headers.get("If-None-Match") == answer.etag:
            answer = Page(304, answer.content_type, b"", answer.etag)
        self.send_response(answer.status)
        for name, value in self._headers(answer):
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    @staticmethod
    def _headers(answer: Page) -> Iterator[tuple[str, str]]:
        yield "Content-Type", answer.content_type
        yield "Content-Length", str(len(answer.body))
        if answer.status == 405:
            yield "Allow", "GET, HEAD"
            yield "Connection", "close"
        if answer.etag:
            yield "ETag", answer.etag
        yield from SAFE

    def version_string(self) -> str:
        """Nobody needs to know which Python this is."""
        return "trafficd"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server calls
        """Scrapes are not worth a line each."""


class WebServer:
    """Serves from construction to ``close``. Raises WebError when the address cannot be used."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        server_type = type("_Server6", (_Server,), {"address_family": AF_INET6}) if ":" in host else _Server
        try:
            self._server = server_type((host, port), _Handler)
        except OSError as e:
            raise WebError(
                f"cannot listen for HTTP on {host}:{port}: {e.strerror or e}; choose another address"
            ) from e
        self._server.pages = pages
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
