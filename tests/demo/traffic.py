"""Real traffic for one node: KV reads, the model's bursts and a request/response probe.

Runs inside a node's namespace and takes orders as JSON lines on standard input, answers on standard output:

- ``{"do": "serve", "port": N}`` KV server: a client asks for bytes with a DSCP, and the server marks
  what it sends, as the responder of an RDMA READ does.
- ``{"do": "sink", "port": N}`` swallows whatever comes (the prefill end of a decode-side read, bursts).
- ``{"do": "echo", "port": N}`` answers every 64 bytes with 64 bytes (the far end of a probe).
- ``{"do": "flood", "id": X, "peer": A, "rate_bps": R, "seconds": S, "dscp": D}`` and ``{"do": "drain", "port": N}``:
  foreign datagrams.
- ``{"do": "read", "id": X, "server": A, "bytes": N, "dscp": D, "forward": A or null}`` one KV read, forwarded over
  the compute network where asked; answers when the last byte has arrived at its end.
- ``{"do": "stream", "id": X, ..., "seconds": S}`` reads for S seconds; answers with the bytes that arrived.
- ``{"do": "burst", "id": X, "peers": [A], "bytes": N, "every": S, "seconds": S, "dscp": D}`` all-to-all bursts.
- ``{"do": "probe", "id": X, "peer": A, "every": S, "seconds": S, "dscp": D}`` round-trip times, in seconds.

Addresses are ``[host, port]``.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

CHUNK = 64 * 1024
PROBE_BYTES = 64
REQUEST = struct.Struct("!QB")
_out = threading.Lock()


def say(**message: Any) -> None:
    with _out:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def loss_based(sock: socket.socket) -> None:
    """Use loss-based congestion control whatever the host's default: one that keeps queues short by itself (BBR)
    would hide what a plain FIFO does, and RDMA has none like it."""
    for name in (b"cubic", b"reno"):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
        except OSError:
            continue
        return


def mark(sock: socket.socket, dscp: int) -> None:
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def dial(address: list[Any], dscp: int) -> socket.socket:
    """Connect marked: the mark is set before the handshake, so that all of it runs in the lane."""
    sock = socket.socket()
    loss_based(sock)
    mark(sock, dscp)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(60)
    sock.connect((address[0], address[1]))
    return sock


def receive(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("the peer closed")
        data += part
    return bytes(data)


def listen(port: int, handle: Callable[[socket.socket], None]) -> None:
    server = socket.create_server(("", port), backlog=64)
    loss_based(server)  # inherited by what it accepts
    say(ready=port)
    while True:
        sock, _ = server.accept()
        threading.Thread(target=guarded, args=(handle, sock), daemon=True).start()


def guarded(handle: Callable[[socket.socket], None], sock: socket.socket) -> None:
    try:
        handle(sock)
    except OSError:
        pass
    finally:
        sock.close()


def send_kv(sock: socket.socket) -> None:
    """Answer read requests until the client closes; the data carries the responder's mark."""
    zeros = bytes(CHUNK)
    while True:
        size, dscp = REQUEST.unpack(receive(sock, REQUEST.size))
        mark(sock, dscp)
        while size > 0:
            size -= sock.send(zeros[: min(size, CHUNK)])


def swallow(sock: socket.socket) -> None:
    """Swallow, and acknowledge each message of a stated size with one byte."""
    while True:
        size, dscp = REQUEST.unpack(receive(sock, REQUEST.size))
        mark(sock, dscp)
        while size > 0:
            part = len(sock.recv(min(size, CHUNK)))
            if not part:
                return
            size -= part
        sock.sendall(b"!")


def echo(sock: socket.socket) -> None:
    mark(sock, receive(sock, 1)[0])
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        sock.sendall(receive(sock, PROBE_BYTES))


class Read:
    """One connection to a KV server, and one to a sink when the data goes on."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.dscp = order["dscp"]
        self.server = dial(order["server"], self.dscp)
        self.sink = dial(order["forward"], self.dscp) if order.get("forward") else None

    def run(self, size: int, until: float = float("inf")) -> int:
        """Read ``size`` bytes through to their end; returns the bytes that arrived by ``until``."""
        self.server.sendall(REQUEST.pack(size, self.dscp))
        if self.sink:
            self.sink.sendall(REQUEST.pack(size, self.dscp))
        left = size
        while left > 0:
            part = self.server.recv(min(left, CHUNK))
            if not part:
                raise ConnectionError("the KV server closed")
            if self.sink:
                self.sink.sendall(part)
            left -= len(part)
            if time.monotonic() > until:
                return size - left
        if self.sink:
            receive(self.sink, 1)
        return size

    def close(self) -> None:
        self.server.close()
        if self.sink:
            self.sink.close()


def do_read(order: dict[str, Any]) -> None:
    start = time.monotonic()
    read = Read(order)
    read.run(order["bytes"])
    read.close()
    say(id=order["id"], seconds=time.monotonic() - start)


def do_stream(order: dict[str, Any]) -> None:
    read = Read(order)
    until, total = time.monotonic() + order["seconds"], 0
    while time.monotonic() < until:
        total += read.run(order["bytes"], until)
    read.close()
    say(id=order["id"], bytes=total)


def do_burst(order: dict[str, Any]) -> None:
    """Every ``every`` seconds ``bytes`` to each peer at once, and wait for all: an all-to-all."""
    peers = [dial(p, order["dscp"]) for p in order["peers"]]
    until, rounds = time.monotonic() + order["seconds"], 0
    payload = REQUEST.pack(order["bytes"], order["dscp"]) + bytes(order["bytes"])
    while time.monotonic() < until:
        start = time.monotonic()
        for peer in peers:
            peer.sendall(payload)
        for peer in peers:
            receive(peer, 1)
        rounds += 1
        time.sleep(max(0.0, order["every"] - (time.monotonic() - start)))
    say(id=order["id"], rounds=rounds)


def do_probe(order: dict[str, Any]) -> None:
    peer = dial(order["peer"], order["dscp"])
    peer.sendall(bytes([order["dscp"]]))
    message, times = bytes(PROBE_BYTES), []
    until = time.monotonic() + order["seconds"]
    while (start := time.monotonic()) < until:
        peer.sendall(message)
        receive(peer, PROBE_BYTES)
        times.append(time.monotonic() - start)
        time.sleep(max(0.0, order["every"] - times[-1]))
    say(id=order["id"], seconds=times)


def do_flood(order: dict[str, Any]) -> None:
    """Datagrams at a constant rate: somebody else's traffic."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mark(sock, order["dscp"])
    peer, payload = (order["peer"][0], order["peer"][1]), bytes(1400)
    start = time.monotonic()
    sent, until = 0, start + order["seconds"]
    while (now := time.monotonic()) < until:
        due = int((now - start) * order["rate_bps"] / 8 / len(payload)) - sent
        for _ in range(due):
            sock.sendto(payload, peer)
        sent += due
        time.sleep(0.001)
    say(id=order["id"], bytes=sent * len(payload))


def drain(port: int) -> None:
    """Swallow datagrams."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port))
    say(ready=port)
    while True:
        sock.recv(2048)


DO: dict[str, Callable[[dict[str, Any]], None]] = {
    "serve": lambda o: listen(o["port"], send_kv),
    "sink": lambda o: listen(o["port"], swallow),
    "echo": lambda o: listen(o["port"], echo),
    "read": do_read,
    "stream": do_stream,
    "burst": do_burst,
    "probe": do_probe,
    "flood": do_flood,
    "drain": lambda o: drain(o["port"]),
}


def obey(order: dict[str, Any]) -> None:
    try:
        DO[order["do"]](order)
    except OSError as e:
        say(id=order.get("id"), error=f"{order['do']}: {e}")


def main() -> None:
    for line in sys.stdin:
        threading.Thread(target=obey, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
