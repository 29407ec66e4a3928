"""A whole controller in this process, over real gRPC and HTTP on loopback, with scripted agents."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from scriptedagent import ScriptedAgent, eventually, inventory, port_status

from trafficd.api.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    fabric_pb2,
    fabric_pb2_grpc,
    path_pb2,
    path_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
    qos_pb2,
)
from trafficd.app.controller import SERVICES, Controller
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.store import Store

FABRIC = """\
version: 1
name: lab
hosts:
  - name: p1
    role: prefill
    nics: [{name: s0, kind: storage, rate: 100Mb/s}, {name: c0, kind: compute, rate: 100Mb/s}]
  - name: d1
    role: decode
    nics: [{name: s0, kind: storage, rate: 100Mb/s}, {name: c0, kind: compute, rate: 100Mb/s}]
"""
POLICY = "version: 1\npolicies: [{name: main, preset: dualpath, mode: enforce, selectors: [{nodes: [p1]}]}]\n"
STRICT = POLICY.replace("dualpath", "two-lane-strict")
API = "version: 1\npolicies: [{name: mine, preset: dualpath, selectors: [{nodes: [d1]}]}]\n"


class Site:
    """A directory with the controller's files, and one running controller at a time."""

    def __init__(self, folder: Path) -> None:
        self.policy, self.fabric, self.state = (
            folder / "policy.yaml",
            folder / "fabric.yaml",
            folder / "state.db",
        )
        self.policy.write_text(POLICY)
        self.fabric.write_text(FABRIC)

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Running]:
        config = ControllerConfig(
            listen=(parse_listen("127.0.0.1:0"),),
            http=Address("127.0.0.1", 0),
            state=self.state,
            policy=self.policy,
            fabric=self.fabric,
            poll_s=0.02,
            publish_s=0.05,
        )
        store = Store.open(config.state)
        try:
            controller = Controller(config, store)
            async with controller.running():
                address = str(controller.grpc[0])
                async with grpc.aio.insecure_channel(address) as channel:
                    yield Running(controller, address, channel)
        finally:
            store.close()


class Running:
    """One running controller, its address, and stubs of all its services."""

    def __init__(self, controller: Controller, address: str, channel: grpc.aio.Channel) -> None:
        self.controller, self.address, self.channel = controller, address, channel
        self.policy: Any = policy_pb2_grpc.PolicyServiceStub(channel)
        self.fabric: Any = fabric_pb2_grpc.FabricServiceStub(channel)
        self.path: Any = path_pb2_grpc.PathServiceStub(channel)

    def agent(self, node: str, *ports: str) -> ScriptedAgent:
        return ScriptedAgent(self.address, node, ports or ("s0", "c0"))

    async def status(self) -> policy_pb2.GetStatusResponse:
        return await self.policy.GetStatus(policy_pb2.GetStatusRequest(), timeout=5)

    async def until(
        self, holds: Callable[[policy_pb2.GetStatusResponse], bool]
    ) -> policy_pb2.GetStatusResponse:
        async with asyncio.timeout(10):
            while not holds(status := await self.status()):
                await asyncio.sleep(0.01)
        return status

    async def get(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(fetch, f"http://127.0.0.1:{self.controller.http_port}{path}")

    async def series(self) -> dict[str, float]:
        """Every series of /metrics by its text."""
        lines = (await self.get("/metrics"))[1].splitlines()
        return {k: float(v) for k, _, v in (x.rpartition(" ") for x in lines if x[:1] != "#")}


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def is_ready(status: policy_pb2.GetStatusResponse) -> bool:
    return any(
        c.type == qos_pb2.CONDITION_TYPE_READY and c.status == qos_pb2.CONDITION_STATUS_TRUE
        for c in status.conditions
    )


def code_of(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> grpc.StatusCode:
    return error.value.code()


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


def test_policy_reaches_an_agent_and_comes_back_ready(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as p1, c.agent("d1") as d1:
            welcome = await p1.hello()
            assert (welcome.controller_uuid, welcome.refusal) == (c.controller.control.state.uuid, "")
            assert welcome.telemetry_interval_ms == 500
            desired = await p1.next_desired()
            assert [(s.name, s.driver, s.policy) for s in desired.scopes] == [
                ("c0", "tc", "main"),
                ("s0", "tc", "main"),
            ]
            lanes = [(lane.id, lane.name, list(lane.traffic_classes)) for lane in desired.scopes[0].lanes]
            assert lanes[2] == (2, "kv", ["kv"])
            assert {e.WhichOneof("value") for e in desired.scopes[0].elements} == {
                "tc_qdisc", "tc_class", "tc_leaf", "tc_filter",
            }  # fmt: skip
            await p1.accept(desired)
            await d1.hello()
            await d1.accept(await d1.next_desired())
            await eventually(lambda: p1.headers)
            assert p1.headers[-1].digest == desired.digest
            await p1.accept(p1.headers[-1])
            status = await c.until(is_ready)
            assert [(n.node, n.connected) for n in status.nodes] == [("d1", True), ("p1", True)]
            assert "tc lanes govern kernel-stack traffic only" in " ".join(status.notes)
            site.policy.write_text(STRICT)
            newer = await p1.next_desired(2)
            assert newer.generation.number > desired.generation.number
            assert newer.digest != desired.digest
            await eventually(lambda: d1.headers and d1.headers[-1].generation == newer.generation)
            assert len(d1.desired) == 1
            assert not is_ready(await c.status())

    run(body())


def test_bad_file_keeps_the_old_and_says_so(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as p1:
            await p1.hello()
            first = await p1.next_desired()
            error = f'trafficd_config_load_error{{file="{site.policy}"}}'
            for content in (
                b"",
                b"\xff\x00",
                b"policies: [",
                b"version: 1\npolicies: [{name: x, preset: no}]\n",
            ):
                site.policy.write_bytes(content)
                status = await c.until(lambda s: bool(s.rejected))
                assert str(site.policy) in status.rejected[0].path
                assert (await c.series())[error] == 1
                assert [p.name for p in status.policies] == ["main"]
                site.policy.write_text(POLICY)
                await c.until(lambda s: not s.rejected)
                assert (await c.series())[error] == 0
            site.policy.unlink()
            status = await c.until(lambda s: bool(s.rejected))
            assert "cannot read" in status.rejected[0].reason
            assert len(p1.desired) == 1
            assert status.generation == first.generation

    run(body())


def test_symlink_swap_of_a_mounted_directory(site: Site, tmp_path: Path) -> None:
    """How Kubernetes updates a ConfigMap: policy.yaml -> ..data/policy.yaml, and ..data is swapped by rename."""

    async def body() -> None:
        mount = tmp_path / "mount"
        for name, text in (("..1", POLICY), ("..2", STRICT)):
            (mount / name).mkdir(parents=True)
            (mount / name / "policy.yaml").write_text(text)
        (mount / "..data").symlink_to("..1")
        (mount / "policy.yaml").symlink_to("..data/policy.yaml")
        site.policy = mount / "policy.yaml"
        async with site.controller() as c, c.agent("p1") as p1:
            await p1.hello()
            first = await p1.next_desired()
            (mount / "..tmp").symlink_to("..2")
            (mount / "..tmp").rename(mount / "..data")
            assert (await p1.next_desired(2)).digest != first.digest

    run(body())


def test_restart_goes_on_where_it_was(site: Site) -> None:
    async def body() -> None:
        agent = ScriptedAgent("", "p1")
        async with site.controller() as c:
            uuid = c.controller.control.state.uuid
            agent.address = c.address
            async with agent:
                await agent.hello()
                await agent.accept(await agent.next_desired())
                await c.until(lambda s: s.nodes[0].acknowledged == agent.accepted)
            applied = await c.policy.ApplyPolicy(policy_pb2.ApplyPolicyRequest(text=API))
            assert not applied.problems
        site.policy.write_text("not: a policy\n")
        async with site.controller() as c:
            agent.address, agent.said = c.address, []
            async with agent:
                assert (await agent.hello()).controller_uuid == uuid
                await eventually(lambda: agent.headers)
                assert agent.headers[0].generation == agent.accepted
                assert agent.headers[0].digest == agent.digest
                assert not agent.desired
                status = await c.status()
                assert [(p.name, p.owner) for p in status.policies] == [("main", "file"), ("mine", "api")]
                assert status.rejected
        site.policy.write_text(STRICT)
        async with site.controller() as c:
            agent.address, agent.said = c.address, []
            async with agent:
                await agent.hello()
                desired = await agent.next_desired()
                assert desired.generation.number == agent.accepted.number + 1

    run(body())


def test_second_agent_of_a_node_and_stranger(site: Site) -> None:
    async def body() -> None:
        async with (
            site.controller() as c,
            c.agent("p1") as first,
            c.agent("p1") as second,
            c.agent("d1") as third,
        ):
            assert not (await first.hello()).refusal
            assert "already connected" in (await second.hello()).refusal
            await eventually(second.call.done)
            third.follows = "another-controller"
            assert "follows controller another-controller" in (await third.hello()).refusal
            assert (await c.series())['trafficd_nodes{state="refused"}'] == 2
            assert not first.call.done()

    run(body())


def test_broken_first_messages(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as agent, c.agent("p1") as other:
            await agent.call.write(agent_pb2.ControlRequest(status=agent_pb2.StatusReport()))
            assert await agent.call.code() == grpc.StatusCode.INVALID_ARGUMENT
            await other.hello()
            stranger = agent_pb2.ControlRequest(hello=agent_pb2.Hello(node="x"))
            await other.call.write(stranger)
            assert await other.call.code() == grpc.StatusCode.INVALID_ARGUMENT
            await c.until(lambda s: not s.nodes[0].connected)

    run(body())


def test_slow_agent_blocks_nobody_and_gets_the_newest(site: Site) -> None:
    """One agent never reads; forty changes later another one has every header, and the slow one gets the last state."""

    async def body() -> None:
        async with site.controller() as c, c.agent("d1") as quick:
            options = [("grpc.http2.lookahead_bytes", 0)]
            async with grpc.aio.insecure_channel(c.address, options=options) as channel:
                stub: Any = agent_pb2_grpc.AgentServiceStub(channel)
                call = stub.Control()
                hello = agent_pb2.Hello(node="p1", inventory=inventory("s0", "c0"))
                await call.write(agent_pb2.ControlRequest(hello=hello))
                await quick.hello()
                for i in range(40):
                    site.policy.write_text(POLICY.replace("main", f"main-{i}"))
                    await c.until(lambda s, i=i: any(p.name == f"main-{i}" for p in s.policies))
                newest = (await c.status()).generation
                await eventually(lambda: quick.headers and quick.headers[-1].generation == newest)
                last = None
                while last is None or last.generation != newest:
                    response = await asyncio.wait_for(call.read(), 5)
                    last = response.desired if response.HasField("desired") else last
                assert last.scopes[0].policy == "main-39"
                call.cancel()

    run(body())


def test_api_policies(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c:
            apply, check = c.policy.ApplyPolicy, c.policy.CheckPolicy
            seen = await check(policy_pb2.CheckPolicyRequest(text=API))
            assert [(p.name, list(p.ports)) for p in seen.policies] == [("mine", ["d1/c0", "d1/s0"])]
            assert [p.name for p in (await c.status()).policies] == ["main"]
            both = next(x for x in seen.policies[0].cases if len(x.backlogged) == 4)
            assert {s.lane: round(s.ratio, 6) for s in both.shares}["kv"] == 0.01
            done = await apply(policy_pb2.ApplyPolicyRequest(text=API))
            assert [p.owner for p in done.policies] == ["api"]
            bad = await apply(
                policy_pb2.ApplyPolicyRequest(text=API.replace("d1", "p1").replace("mine", "other"))
            )
            assert "selected by policies" in bad.problems[0].reason
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await apply(policy_pb2.ApplyPolicyRequest(text=STRICT))
            assert code_of(refused) == grpc.StatusCode.FAILED_PRECONDITION
            assert str(site.policy) in (refused.value.details() or "")
            assert not (await apply(policy_pb2.ApplyPolicyRequest(remove=["mine"]))).problems
            assert [p.name for p in (await c.status()).policies] == ["main"]
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await apply(policy_pb2.ApplyPolicyRequest(text=API), timeout=0.000001)
            assert code_of(late) == grpc.StatusCode.DEADLINE_EXCEEDED

    run(body())


def test_fabric_service(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as p1:
            await p1.hello()
            got = await c.fabric.GetFabric(fabric_pb2.GetFabricRequest())
            assert [(h.name, h.role) for h in got.fabric.hosts] == [
                ("p1", qos_pb2.ROLE_PREFILL),
                ("d1", qos_pb2.ROLE_DECODE),
            ]
            found = await c.fabric.GetInventory(fabric_pb2.GetInventoryRequest())
            assert [(n.node, [p.name for p in n.inventory.ports]) for n in found.nodes] == [
                ("p1", ["s0", "c0"])
            ]
            told = await c.fabric.SetRole(fabric_pb2.SetRoleRequest(host="p1", role=qos_pb2.ROLE_DECODE))
            assert told.host.role == qos_pb2.ROLE_DECODE
            for request, code in (
                (fabric_pb2.SetRoleRequest(host="no", role=qos_pb2.ROLE_DECODE), grpc.StatusCode.NOT_FOUND),
                (fabric_pb2.SetRoleRequest(host="p1"), grpc.StatusCode.INVALID_ARGUMENT),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await c.fabric.SetRole(request)
                assert code_of(error) == code

    run(body())


def test_nothing_accepted_yet_is_served_and_said(site: Site) -> None:
    """A first start with bad files: agents connect and are told nothing, so that they keep what they have."""

    async def body() -> None:
        site.policy.write_text("nonsense\n")
        site.fabric.write_text("nonsense\n")
        async with site.controller() as c, c.agent("p1") as p1:
            assert not (await p1.hello()).refusal
            status = await c.until(lambda s: any(n.connected for n in s.nodes))
            assert len({p.path for p in status.rejected}) == 2
            assert any("no fabric has been accepted yet" in note for note in status.notes)
            assert (await c.series())["trafficd_programming_withheld"] == 1
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await c.fabric.GetFabric(fabric_pb2.GetFabricRequest())
            assert code_of(error) == grpc.StatusCode.FAILED_PRECONDITION
            assert not p1.desired
            site.fabric.write_text(FABRIC)
            site.policy.write_text(POLICY)
            assert [s.policy for s in (await p1.next_desired()).scopes] == ["main", "main"]

    run(body())


def telemetry(node: str, ports: tuple[str, ...]) -> agent_pb2.TelemetryRequest:
    columns = [
        agent_pb2.Column(
            port=p,
            quantity="bytes",
            direction=agent_pb2.DIRECTION_TRANSMIT,
            kind=agent_pb2.COUNTER_KIND_WRAP64,
        )
        for p in ports
    ]
    return agent_pb2.TelemetryRequest(hello=agent_pb2.TelemetryHello(node=node, columns=columns))


def reading(second: int, *values: int) -> agent_pb2.TelemetryRequest:
    return agent_pb2.TelemetryRequest(
        sample=agent_pb2.Sample(measured_monotonic_ns=second * 10**9, measured_unix_ns=1, values=values)
    )


def test_telemetry_becomes_balance_and_recommendations(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as p1, c.agent("d1") as d1:
            for agent in (p1, d1):
                await agent.hello()
            calls = []
            for agent, rate in ((p1, 3_000_000), (d1, 1_000_000)):
                call = agent.stub.Telemetry()
                calls.append(call)
                await call.write(telemetry(agent.node, ("s0",)))
                await call.write(reading(1, 1000))
                await call.write(reading(2, 1000 + rate))
            async with asyncio.timeout(10):
                while 'trafficd_nic_imbalance_ratio{kind="storage"}' not in (series := await c.series()):
                    await asyncio.sleep(0.01)
            assert series['trafficd_nic_imbalance_ratio{kind="storage"}'] == pytest.approx(1.5)
            assert series['trafficd_nic_balance_jain_ratio{kind="storage"}'] == pytest.approx(0.8)
            assert 'trafficd_nic_imbalance_ratio{kind="compute"}' not in series
            assert series['trafficd_agent_last_report_timestamp_seconds{node="p1"}'] > 1e9
            assert (await c.status()).nodes[0].telemetry_age_seconds < 10
            asked = path_pb2.RecommendRequest(
                source=path_pb2.Source(nodes=[path_pb2.SourceNode(node="d1", bytes=1000)]),
                prefill=[path_pb2.EngineRef(node="p1", rank=0)],
            )
            await c.path.Recommend(asked, timeout=5)
            series = await c.series()
            counted = {
                k: v for k, v in series.items() if k.startswith("trafficd_recommendation_requests_total")
            }
            assert sum(counted.values()) == 1
            bad = p1.stub.Telemetry()
            await bad.write(telemetry("p1", ("s0",)))
            await bad.write(reading(3, 1, 2))
            assert await bad.code() == grpc.StatusCode.INVALID_ARGUMENT
            for call in calls:
                call.cancel()

    run(body())


def test_health_reflection_and_pages(site: Site) -> None:
    async def body() -> None:
        async with site.controller() as c:
            health: Any = health_pb2_grpc.HealthStub(c.channel)
            for name in ("", *SERVICES):
                answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
            reflection: Any = reflection_pb2_grpc.ServerReflectionStub(c.channel)
            call = reflection.ServerReflectionInfo()
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            listed = {s.name for s in (await call.read()).list_services_response.service}
            assert set(SERVICES) < listed
            call.cancel()
            assert await c.get("/healthz") == (200, "ok\n")
            assert await c.get("/readyz") == (200, "ok\n")
            assert (await c.get("/no-such-page"))[0] == 404

    run(body())


def test_metrics_are_as_prometheus_wants_them(site: Site) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: install the prometheus package"

    async def body() -> None:
        async with site.controller() as c, c.agent("p1") as p1:
            await p1.hello()
            desired = await p1.next_desired()
            await p1.accept(desired)
            await p1.report(port_status("s0", desired.generation, DRIFTED=True, READY=False))
            async with asyncio.timeout(10):
                while (await c.series()).get('trafficd_scopes_drifted{node="p1"}') != 1:
                    await asyncio.sleep(0.01)
            _, text = await c.get("/metrics")
            checked = await asyncio.to_thread(
                subprocess.run,
                [promtool, "check", "metrics"],
                input=text,
                text=True,
                capture_output=True,
                timeout=30,
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
            assert not [line for line in text.splitlines() if "class=" in line or "lane=" in line]

    run(body())
