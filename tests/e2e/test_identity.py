"""Who may call what: a whole controller over real TLS on loopback, and every role at its door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from certlab import HOUR, CertLab, now
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from scriptedagent import ScriptedAgent, eventually

from trafficd import client
from trafficd.api import tls
from trafficd.api.v1 import agent_pb2, agent_pb2_grpc, path_pb2, path_pb2_grpc, policy_pb2, policy_pb2_grpc
from trafficd.app.controller import SERVICES, Controller
from trafficd.app.tls import reminders
from trafficd.cli import main
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.core.identity import Identity, Role
from trafficd.server.access import ACCESS, verdict
from trafficd.store import Store

FABRIC = """\
version: 1
name: lab
hosts: [{name: p1, role: prefill, nics: [{name: s0, kind: storage, rate: 100Mb/s}]}]
"""
ROLES = ("agent/p1", "scheduler/s1", "viewer/v1", "operator/o1")
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
def lab(tmp_path: Path) -> CertLab:
    return CertLab(tmp_path)


def config(lab: CertLab) -> ControllerConfig:
    fabric = lab.folder / "fabric.yaml"
    fabric.write_text(FABRIC)
    return ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"), parse_listen(f"unix:{lab.folder}/s")),
        http=Address("127.0.0.1", 0),
        state=lab.folder / "state.db",
        fabric=fabric,
        tls=lab.issue("controller/c1"),
        publish_s=0.05,
    )


@asynccontextmanager
async def serving(settings: ControllerConfig) -> AsyncIterator[str]:
    """The address of a running controller."""
    store = Store.open(settings.state)
    try:
        controller = Controller(settings, store)
        async with controller.running():
            yield str(controller.grpc[0])
    finally:
        store.close()


async def status_by(address: str, credentials: grpc.ChannelCredentials | None) -> str:
    """What GetStatus answers: ok, or the code and the words."""
    opened = (
        grpc.aio.insecure_channel(address)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials)
    )
    async with opened as channel:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        return await said(stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=10))


async def said(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as e:
        return f"{e.code().name}: {e.details()}"
    return "ok"


def test_every_method_is_in_the_table_and_nothing_else() -> None:
    pool: Any = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    served = {f"/{s}/{m.name}" for s in SERVICES for m in pool.FindServiceByName(s).methods}
    assert {m for m in ACCESS if m.startswith("/trafficd.")} == served


def test_the_table_for_each_role() -> None:
    callers = [Identity(Role(r.split("/")[0]), "x") for r in ROLES]
    allowed = {
        str(c.role): sorted(m.rpartition("/")[2] for m in ACCESS if "trafficd" in m and not verdict(m, c))
        for c in callers
    }
    assert not {"ApplyPolicy", "SetRole", "Control", "Telemetry"} & {
        *allowed["scheduler"],
        *allowed["viewer"],
    }
    assert not {"Recommend", "Reserve", "Renew", "Release", "ReportEngines"} & set(allowed["viewer"])
    assert {"Control", "Telemetry"} <= set(allowed["agent"])
    assert not {"ApplyPolicy", "GetStatus", "Reserve"} & set(allowed["agent"])
    assert {"ApplyPolicy", "SetRole", "GetStatus", "Reserve"} <= set(allowed["operator"])
    assert "nobody" in verdict("/trafficd.api.v1.PolicyService/NotInTheTable", callers[-1])


def test_roles_over_the_wire(lab: CertLab) -> None:
    async def scenario() -> None:
        async with serving(config(lab)) as address:
            for who in ROLES:
                async with grpc.aio.secure_channel(address, lab.credentials(who)) as channel:
                    name = who.replace("/", " ")
                    policy: Any = policy_pb2_grpc.PolicyServiceStub(channel)
                    path: Any = path_pb2_grpc.PathServiceStub(channel)
                    apply = await said(
                        policy.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text="x"), timeout=10)
                    )
                    expected = f"{DENIED.name}: {name} may not call trafficd.api.v1.PolicyService/ApplyPolicy: it is for operator"
                    assert apply == ("ok" if who == "operator/o1" else expected)
                    reserve = await said(path.Reserve(path_pb2.ReserveRequest(), timeout=10))
                    expected = f"{DENIED.name}: {name} may not call trafficd.api.v1.PathService/Reserve: it is for operator or scheduler"
                    assert reserve == ("ok" if who in ("operator/o1", "scheduler/s1") else expected)
                    await everybody_may_ask_for_health(channel)
            # A Unix socket is guarded by its permissions.
            assert await status_by(f"unix:{lab.folder}/s", None) == "ok"
            assert (await status_by(address, None)).startswith("UNAVAILABLE")

    asyncio.run(scenario())


async def everybody_may_ask_for_health(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=10)).status == 1
    async for first in health.Watch(health_pb2.HealthCheckRequest(), timeout=10):
        assert first.status == 1
        break
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [a async for a in reflection.ServerReflectionInfo(iter([asked]), timeout=10)]
    assert set(SERVICES) <= {s.name for s in answers[0].list_services_response.service}


def test_an_agent_speaks_for_its_own_node_only(lab: CertLab) -> None:
    async def scenario() -> None:
        async with serving(config(lab)) as address:
            mine = lab.credentials("agent/p1")
            async with ScriptedAgent(address, "p1", credentials=mine) as agent:
                assert not (await agent.hello()).refusal
            async with grpc.aio.secure_channel(address, mine) as channel:
                stub: Any = agent_pb2_grpc.AgentServiceStub(channel)
                hello = agent_pb2.ControlRequest(hello=agent_pb2.Hello(node="p2"))
                sentence = (
                    "PERMISSION_DENIED: the certificate is node p1's and the hello says p2: "
                    "start the agent with --node p1, or give it a certificate of node p2"
                )
                assert await said(read_all(stub.Control(iter([hello]), timeout=10))) == sentence
                columns = agent_pb2.TelemetryRequest(hello=agent_pb2.TelemetryHello(node="p2"))
                assert await said(stub.Telemetry(iter([columns]), timeout=10)) == sentence

    asyncio.run(scenario())


async def read_all(stream: Any) -> None:
    async for _ in stream:
        pass


def test_a_certificate_that_names_nobody(lab: CertLab) -> None:
    """Signed by the authority, and yet of no role that exists."""

    class Made(Identity):
        uri = "spiffe://trafficd/janitor/j1"  # type: ignore[assignment]

    async def scenario() -> None:
        async with serving(config(lab)) as address:
            answer = await status_by(address, lab.credentials(Made(Role.VIEWER, "j1")))
            assert answer == (
                "PERMISSION_DENIED: the certificate names spiffe://trafficd/janitor/j1: 'janitor' is no role: "
                "use one of agent, scheduler, viewer, operator, controller"
            )

    asyncio.run(scenario())


def test_certificates_that_are_not_accepted(lab: CertLab) -> None:
    other = CertLab(lab.folder / "other")
    refused = {
        "expired": lab.issue("viewer/old", -3 * HOUR),
        "not yet valid": lab.issue("viewer/early", HOUR),
        "another authority": other.issue("viewer/v1"),
        "a controller's": lab.issue("controller/c2"),
    }

    async def scenario() -> None:
        async with serving(config(lab)) as address:
            for directory in refused.values():
                answer = await status_by(address, tls.channel_credentials(tls.read(directory)))
                assert tls.broken(answer.partition(": ")[2], "D").startswith(
                    ("it closed the connection before", "its certificate is not signed by")
                ), answer

    asyncio.run(scenario())


def test_a_node_cannot_pose_as_the_controller(lab: CertLab) -> None:
    async def scenario() -> None:
        settings = replace(config(lab), tls=lab.issue("agent/p1"))
        async with serving(settings) as address:
            answer = await status_by(address, lab.credentials("agent/p2"))
            assert "CERTIFICATE_VERIFY_FAILED" in answer

    asyncio.run(scenario())


def test_new_certificates_are_used_without_a_restart(lab: CertLab, caplog: pytest.LogCaptureFixture) -> None:
    """The authority is rotated under a running controller: new, old and at last only new certificates are accepted."""

    async def scenario() -> None:
        old = lab.credentials("viewer/v1")
        settings = config(lab)
        assert settings.tls is not None
        async with serving(settings) as address:
            assert await status_by(address, old) == "ok"
            lab.rotate()
            lab.issue("controller/c1", to=settings.tls)
            new = lab.credentials("viewer/v1")
            assert await status_by(address, new) == "ok"
            # The old holder does not know the new authority yet; told, it is let in with its old certificate.
            assert (await status_by(address, old)).startswith("UNAVAILABLE")
            held = lab.folder / "held"
            lab.issue("viewer/v1", to=held)
            (settings.tls / tls.KEY).write_text("no key")
            assert await status_by(address, new) == "ok", "the certificate read before is still served"
            lab.issue("controller/c1", to=settings.tls)
            assert await status_by(address, new) == "ok"

    with caplog.at_level(logging.INFO, "trafficd.tls"):
        asyncio.run(scenario())
    assert "are no certificate and its unencrypted key" in caplog.text
    assert "the certificate read before goes on being used" in caplog.text


def test_after_a_rotation_old_certificates_are_accepted_until_they_end(lab: CertLab) -> None:
    async def scenario() -> None:
        old = lab.issue("viewer/v1")
        settings = config(lab)
        assert settings.tls is not None
        lab.rotate()
        lab.issue("controller/c1", to=settings.tls)
        (old / tls.AUTHORITIES).write_bytes(lab.authority.bundle)
        async with serving(settings) as address:
            assert await status_by(address, tls.channel_credentials(tls.read(old))) == "ok"

    asyncio.run(scenario())


def test_a_scheduler_with_a_certificate_gets_snapshots(lab: CertLab) -> None:
    async def scenario() -> None:
        async with serving(config(lab)) as address:
            credentials = client.credentials_from(lab.issue("scheduler/s1"))
            async with client.aio.connect(address, credentials=credentials) as connected:
                await eventually(lambda: connected.snapshot)

    asyncio.run(scenario())
    with pytest.raises(client.TlsError, match=r"cannot read .*ca\.crt: No such file"):
        client.credentials_from(lab.folder)


def test_the_command_speaks_tls_and_says_what_is_wrong(
    lab: CertLab, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer, wrong = lab.issue("viewer/v1"), CertLab(lab.folder / "other").issue("viewer/v1")

    async def scenario() -> None:
        async with serving(config(lab)) as address:
            for directory in (viewer, wrong, lab.folder / "none"):
                command = ["status", "--controller", address, "--tls-dir", str(directory)]
                codes.append(await asyncio.to_thread(main, command))
            role = ["topology", "role", "h", "decode", "--controller", address, "--tls-dir", str(viewer)]
            codes.append(await asyncio.to_thread(main, role))
            codes.append(await asyncio.to_thread(main, ["status", "--controller", address]))

    codes: list[int] = []
    asyncio.run(scenario())
    errors = capsys.readouterr().err.splitlines()
    assert codes == [1, 3, 2, 4, 3]
    assert "its certificate is not signed by an authority in" in errors[-4]
    assert errors[-3].startswith(f"trafficd: cannot read {lab.folder}/none/ca.crt: No such file")
    assert "viewer v1 may not call trafficd.api.v1.FabricService/SetRole: it is for operator" in errors[-2]
    assert "and without --tls-dir?" in errors[-1]


def test_what_is_said_every_hour(lab: CertLab) -> None:
    plain = replace(config(lab), tls=None)
    exposed = replace(plain, listen=(parse_listen("0.0.0.0:7600"),))
    fresh = config(lab)
    assert fresh.tls is not None
    assert list(reminders(plain, now())) == []
    (warning,) = reminders(exposed, now())
    assert warning == (
        "plain text on 0.0.0.0:7600: whoever reaches it may program lanes; serve TLS with --tls-dir, "
        "or listen on loopback"
    )
    assert list(reminders(fresh, now())) == []
    (late,) = reminders(fresh, now() + timedelta(minutes=45))
    assert "left: put a new one there" in late
    (ended,) = reminders(fresh, now() + 2 * HOUR)
    assert "tls.crt is expired at" in ended
    (fresh.tls / tls.CERTIFICATE).write_text("x")
    (unreadable,) = reminders(fresh, now())
    assert "holds no certificate in PEM form" in unreadable


def test_the_reminder_is_repeated(lab: CertLab, caplog: pytest.LogCaptureFixture) -> None:
    settings = replace(config(lab), tls=lab.issue("controller/c9", life=timedelta(minutes=1)), remind_s=0.02)

    async def scenario() -> None:
        async with serving(replace(settings, tls=lab.issue("controller/c9", -3 * HOUR))):
            await eventually(lambda: caplog.text.count("put a new one there") > 2)

    with caplog.at_level(logging.WARNING, "trafficd.tls"):
        asyncio.run(scenario())
