"""Handles on the traffic programs that run inside the nodes."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from lab.netns import Lab

TRAFFIC = Path(__file__).parent / "traffic.py"
GIVE_UP_SECONDS = 60.0
Answer = dict[str, Any]


class WorkerError(Exception):
    """A traffic program failed; the text says which and why."""


class Worker:
    """One traffic program inside a node. Orders may overlap; answers are told apart by id."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.node = node
        self._ids = count()
        self._writing = threading.Lock()
        self._answers: dict[object, queue.Queue[Answer]] = {}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = lab.start(node, [sys.executable, str(TRAFFIC)], **pipes)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            answer = json.loads(line)
            self._queue(answer.get("id", answer.get("ready"))).put(answer)

    def _queue(self, key: object) -> queue.Queue[Answer]:
        return self._answers.setdefault(key, queue.Queue())

    def order(self, do: str, **arguments: Any) -> str:
        """Send an order; returns the id to wait for."""
        key = f"{do}{next(self._ids)}"
        self._queue(key)
        assert self._process.stdin
        with self._writing:
            self._process.stdin.write(json.dumps({"do": do, "id": key, **arguments}) + "\n")
            self._process.stdin.flush()
        return key

    def serve(self, do: str, port: int) -> None:
        """Start a server and wait until it listens."""
        waiting = self._queue(port)
        self.order(do, port=port)
        waiting.get(timeout=GIVE_UP_SECONDS)

    def wait(self, key: str) -> Answer:
        try:
            answer = self._queue(key).get(timeout=GIVE_UP_SECONDS)
        except queue.Empty:
            raise WorkerError(f"{self.node}: no answer to {key} within {GIVE_UP_SECONDS:.0f} s") from None
        finally:
            self._answers.pop(key, None)
        if "error" in answer:
            raise WorkerError(f"{self.node}: {answer['error']}")
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


def wait_all(orders: Iterable[tuple[Worker, str]]) -> list[Answer]:
    return [worker.wait(key) for worker, key in orders]
