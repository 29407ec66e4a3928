"""The checked-in generated code and the client run on every protobuf that inference stacks pin.

Each version has a virtual environment of its own beside the sources (``.venv-protobuf-N``), made once, with grpcio and
protobuf and nothing else: what the base install asks for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = {
    "5": ("protobuf>=5.29,<5.30", "grpcio==1.62.3"),
    "6": ("protobuf>=6,<7", "grpcio"),
    "7": ("protobuf>=7,<8", "grpcio"),
}
"""The oldest of both that pyproject.toml allows stand together."""
INSTALL_S, RUN_S = 300, 60
ROUND_TRIP = """
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import google.protobuf
import grpc

for name in ("agent", "fabric", "path", "policy", "qos"):
    import_module(f"trafficd.api.v1.{name}_pb2")
    import_module(f"trafficd.api.v1.{name}_pb2_grpc")
from trafficd import client
from trafficd.api.v1 import path_pb2, path_pb2_grpc

asked = []


class Service(path_pb2_grpc.PathServiceServicer):
    def Recommend(self, request, context):
        asked.append(request)
        engine = path_pb2.EngineRef(node="p1", rank=3)
        leg = path_pb2.PathLeg(side=path_pb2.SIDE_PREFILL, reader="p1")
        plan = path_pb2.PathPlan(prefill=engine, legs=[leg], expected_seconds=0.25, score=1.0)
        return path_pb2.RecommendResponse(plans=[plan], snapshot_version="1.1-1", valid_for_ms=7)


server = grpc.server(ThreadPoolExecutor(4))
path_pb2_grpc.add_PathServiceServicer_to_server(Service(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
request = client.Request(
    "r1",
    5_000_000_000,
    (client.EngineRef("p1", 3),),
    source=client.Source(nodes=(client.SourceNode("st1", 5_000_000_000),)),
    abilities=client.Abilities(max_legs=2),
)
with client.connect(f"127.0.0.1:{port}") as connected:
    answer = connected.recommend(request, timeout_s=20.0)
server.stop(None).wait()

(heard,) = asked
again = path_pb2.RecommendRequest.FromString(heard.SerializeToString())
assert again == heard and type(again).__module__.endswith("path_pb2")
(plan,) = answer.plans
print(
    google.protobuf.__version__.split(".")[0], heard.request_id, heard.bytes, heard.prefill[0].node,
    heard.prefill[0].rank, heard.source.nodes[0].node, heard.abilities.max_legs,
)
print(plan.prefill, plan.legs[0].side.name, plan.expected_seconds, answer.valid_for_ms, answer.fallback)
print(sorted({name.split(".")[0] for name in sys.modules} & {"yaml", "networkx", "prometheus_client"}))
"""


def run(*command: str | Path, seconds: float, what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        pytest.fail(f"{what} failed: {said[-1] if said else 'no word'}; is a package index reachable?")


def environment(major: str) -> Path:
    """The interpreter of that version's environment, made if it is not there or was for other versions."""
    directory = ROOT / f".venv-protobuf-{major}"
    python, mark = directory / "bin" / "python", directory / ".installed"
    wanted = " ".join(PINNED[major])
    if not mark.exists() or mark.read_text() != wanted:
        run(sys.executable, "-m", "venv", "--clear", directory, seconds=INSTALL_S, what=f"making {directory}")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, *PINNED[major], seconds=INSTALL_S, what=f"installing {wanted}")
        mark.write_text(wanted)
    return python


@pytest.mark.parametrize("major", PINNED)
def test_generated_code_and_client_round_trip(major: str) -> None:
    done = subprocess.run(
        [environment(major), "-W", "error", "-c", ROUND_TRIP],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.stdout.splitlines() == [
        f"{major} r1 5000000000 p1 3 st1 2",
        "p1/3 PREFILL 0.25 7 None",
        "[]",
    ], done.stderr
    assert done.returncode == 0
