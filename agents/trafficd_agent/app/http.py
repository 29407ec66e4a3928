"""The agent's pages: /metrics, /healthz, /readyz and /status, each answered from a picture and never from a device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from socketserver import TCPServer
from typing import Any

log = logging.getLogger(__name__)
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


def verdict(problem: str) -> Page:
    """The page of a probe: ok, or 503 and the sentence why not."""
    if problem:
        return Page(f"{problem}\n".encode(), status=HTTPStatus.SERVICE_UNAVAILABLE)
    return Page(b"ok\n")


Pages = Mapping[str, Callable[[], Page]]


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_GET(self) -> None:
            make = pages.get(self.path.partition("?")[0])
            page = make() if make else Page(b"not found\n", status=HTTPStatus.NOT_FOUND)
            self.send_response(page.status)
            self.send_header("Content-Type", page.type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
            log.debug(format, *args)

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As inherited, without asking name servers for the name of our own address."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as inherited
        log.debug("a page was not delivered to %s", client_address)


class HttpServer:
    """Serves until closed. Raises OSError when the address cannot be had."""

    def __init__(self, address: str, pages: Pages) -> None:
        host, _, port = address.rpartition(":")
        bare = host.strip("[]")
        kind = type("_Server6", (_Server,), {"address_family": AF_INET6}) if ":" in bare else _Server
        self._server = kind((bare, int(port)), _handler(pages))
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
