"""The status page over HTTP: what is served and how, what is refused, and what a picture holds."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from trafficd.choice.request import (
    Answer,
    EngineRef,
    Fallback,
    FallbackReason,
    ItemProblem,
    Leg,
    Plan,
    Request,
    Side,
)
from trafficd.core.frame import make_frame
from trafficd.core.live import Now, live
from trafficd.core.recent import KEPT, SPACING_NS, Recent, reason
from trafficd.core.rollout import Phase, Rollout
from trafficd.core.state import ControlState, FabricSource, NodeState
from trafficd.core.telemetry import TelemetryStore
from trafficd.web import Pages, WebServer
from trafficd.web.status import StatusPage
from trafficd_topology.counters import Column, Direction, Quantity, Sample
from trafficd_topology.fabric import Fabric
from trafficd_topology.model import FabricSpec, Host, LinkLayer, Nic, NicKind, NodeInventory, Role
from trafficd_topology.qos.policy import RolloutSettings
from trafficd_topology.status import Generation

HOSTILE = '"><img src=x onerror=alert(1)>'
NIC = Nic("s0", NicKind.STORAGE, LinkLayer.ETHERNET, 1000)
SPEC = FabricSpec(
    "lab", (Host("p1", Role.PREFILL, (NIC, replace(NIC, name="c0", kind=NicKind.COMPUTE))), Host(HOSTILE))
)
STATE = ControlState(
    "0123456789-uuid",
    Generation(1, 7),
    fabric=FabricSource("digest", "text", SPEC),
    nodes={
        "p1": NodeState("p1", 1, NodeInventory("p1")),
        "gone": NodeState("gone", None, NodeInventory("gone")),
    },
    rollout=Rollout(
        RolloutSettings(), (("p1",), ("a", "b")), Phase.HALTED, 1, frozenset({"p1", "a"}), reason="why"
    ),
)
COLUMNS = tuple(Column("s0", Quantity.BYTES, way, lane_id=lane) for way in Direction for lane in (None, 2))


def telemetry() -> TelemetryStore:
    """s0 sends 50 and receives 25 bytes a second; c0 is not measured."""
    store = TelemetryStore()
    store.hello("p1", COLUMNS)
    store.sample("p1", Sample(0, 0, (0, 0, 0, 0)), 100.0)
    store.sample("p1", Sample(0, 10**9, (50, 40, 25, 25)), 101.0)
    return store


def now(state: ControlState = STATE, at: float = 101.5, recent: Recent | None = None) -> Now:
    frame = None if state.spec is None else make_frame(Fabric(state.spec), state.plan, ())
    kept = recent or Recent()
    return Now(state, frame, telemetry(), (), (("p1", 0.5),), kept.kept, kept.answered, at, 10**18)


@contextmanager
def served(what: Now) -> Iterator[http.client.HTTPConnection]:
    pages = Pages(CollectorRegistry(), lambda: "", lambda: "", StatusPage(lambda: what))
    server = WebServer("127.0.0.1", 0, pages)
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
            yield connection
    finally:
        server.close()


def ask(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def get(connection: http.client.HTTPConnection, path: str) -> Any:
    status, _, body = ask(connection, path)
    assert status == 200, body
    return json.loads(body)


def test_page_is_whole_and_runs_nothing_from_elsewhere() -> None:
    with served(now()) as c:
        for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
            status, headers, body = ask(c, path)
            assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
            assert headers["content-security-policy"] == (
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            )
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers
            assert b"://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
            for markup in (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"style="):
                assert markup not in body


def test_only_reading_is_answered() -> None:
    with served(now()) as c:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            status, headers, _ = ask(c, "/api/v1/live", method)
            assert (status, headers["allow"]) == (405, "GET, HEAD")
        status, headers, body = ask(c, "/api/v1/live", "HEAD")
        assert (status, body, int(headers["content-length"]) > 0) == (200, b"", True)
        for path in ("/..%2f..%2fetc/passwd", "/page.py", "/api/v1", "/api/v1/live/"):
            assert ask(c, path)[0] == 404
        assert ask(c, "/", Host="elsewhere.example")[0] == 200


@pytest.mark.parametrize(
    "query", ["", "index=", "index=-1", "index=2", "index=9999999999", "index=٣", "x=1", "index=1e0"]
)
def test_a_nic_that_is_not_there(query: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415

    with served(now()) as c:
        assert ask(c, f"/api/v1/nic?{quote(query, safe='=')}")[0] == 404


def test_what_has_not_changed_is_not_sent_again() -> None:
    with served(now()) as c:
        for path in ("/", "/page.js", "/api/v1/fabric", "/api/v1/live"):
            tag = ask(c, path)[1]["etag"]
            assert ask(c, path, If_None_Match=tag)[::2] == (304, b"")
            assert ask(c, path, If_None_Match='"other"')[0] == 200


def test_picture() -> None:
    with served(now()) as c:
        told = get(c, "/api/v1/live")
        assert told["fabric"] == ask(c, "/api/v1/fabric")[1]["etag"]
        assert get(c, "/api/v1/fabric")["hosts"][1]["name"] == HOSTILE
        found = told["live"]
        assert found["nics"] == {
            "transmit_bps": [400, None],
            "receive_bps": [200, None],
            "rate_bps": [1000, 1000],
            "utilisation": [0.4, None],
            "up": [1, 1],
        }
        assert [(n["name"], n["connected"], n["trouble"]) for n in found["nodes"]] == [
            ("gone", False, "not connected: its agent keeps what it accepted last"),
            ("p1", True, ""),
        ]
        assert found["rollout"] == {
            "phase": "halted",
            "wave": 1,
            "reason": "why",
            "waves": [
                {"count": 1, "admitted": 1, "nodes": ["p1"]},
                {"count": 2, "admitted": 1, "nodes": ["a", "b"]},
            ],
        }
        assert get(c, "/api/v1/nic?index=0")["nic"]["utilisation"] == 0.4


def test_old_measurements_are_no_measurements() -> None:
    picture = live(now(at=105.0))
    assert [(n.fresh, n.utilisation, n.transmit_bps) for n in picture.nics] == [
        (False, None, 400),
        (False, None, None),
    ]
    with served(now(at=105.0)) as c:
        assert get(c, "/api/v1/live")["live"]["nics"]["transmit_bps"] == [None, None]


def test_before_there_is_a_fabric() -> None:
    with served(now(ControlState("uuid", Generation(1, 0)))) as c:
        assert get(c, "/api/v1/fabric")["nics"] == []
        assert get(c, "/api/v1/live")["live"]["nics"]["up"] == []


def plan(seconds: float) -> Plan:
    leg = Leg(Side.PREFILL, "p1", "st1", ("p1/s0",), 10**9, seconds, "nic:p1/s0", 2 * 10**6, 10**9, 2, "kv")
    return Plan(EngineRef("p1"), EngineRef("d1", 3), (leg,), seconds, 1.0)


def test_recommendations_are_bounded_and_say_why() -> None:
    recent = Recent()
    for i in range(3 * KEPT):
        recent.note(Request(f"r{i}" * 100, 10**9), Answer((plan(0.5), plan(1.0), plan(2.0))), i * SPACING_NS)
        recent.note(Request("too soon"), Answer((plan(0.1),)), i * SPACING_NS + 1)
    assert (len(recent.kept), recent.answered) == (KEPT, 6 * KEPT)
    newest = recent.kept[0]
    assert newest.request_id == (f"r{3 * KEPT - 1}" * 100)[:64]
    assert reason(newest) == (
        "prefill side, limited by nic:p1/s0: 2.0 MB ahead of it, 1 Gbit/s left for KV; the alternative, the first of 2, "
        "is reckoned 2.00 times as long"
    )
    told = live(now(recent=recent)).recommendations[0]
    assert (told.engines, told.legs[0].reader, told.legs[0].source) == ("p1/0 + d1/3", "p1", "st1")


def test_answers_without_a_plan_say_why() -> None:
    recent = Recent()
    recent.note(
        Request("a"), Answer((), problems=(ItemProblem("prefill x/0", 5, "no such node"),)), SPACING_NS
    )
    recent.note(
        Request("b"),
        Answer((), fallback=Fallback(FallbackReason.NO_TELEMETRY, "nothing yet")),
        2 * SPACING_NS,
    )
    assert [reason(r) for r in recent.kept] == ["nothing yet", "prefill x/0: no such node"]
