"""A node gets its certificate with a token and keeps it fresh: real agent processes, a whole controller, real TLS."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from agentprocess import AgentProcess, wait_for
from certlab import HOUR, CertLab, controller_thread, now
from cryptography import x509

from trafficd.api import tls
from trafficd.api.v1 import identity_pb2, identity_pb2_grpc, policy_pb2, policy_pb2_grpc
from trafficd.app.controller import Controller
from trafficd.certs import tokens
from trafficd.cli import main
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd_agent.cli import main as agent_main
from trafficd_agent.session.certificate import new_key, signing_request

DAY = timedelta(hours=24)


class Site:
    """A controller that signs, and agents that ask it to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lab = folder, CertLab(folder)
        self.agents: list[AgentProcess] = []
        self.config = ControllerConfig(
            listen=(parse_listen("127.0.0.1:0"),),
            http=Address("127.0.0.1", 0),
            state=folder / "state.db",
            tls=self.lab.issue("controller/c1"),
            ca=self.lab.ca,
            enroll=parse_listen("127.0.0.1:0"),
        )

    def token(self, node: str = "n1", age: timedelta = timedelta()) -> str:
        return tokens.create(self.lab.ca, node, timedelta(minutes=10), now() - age)

    def agent(
        self, controller: Controller, token: str, name: str = "a", fingerprint: str = ""
    ) -> AgentProcess:
        """Knows the authority, or its fingerprint alone, and a token, and nothing else."""
        home = self.folder / name
        (home / "tls").mkdir(parents=True, exist_ok=True)
        if not fingerprint:
            (home / "tls" / tls.AUTHORITIES).write_bytes(self.lab.authority.bundle)
        (home / "token").write_text(token + "\n")
        (at,) = controller.grpc
        assert at.tcp is not None
        made = AgentProcess(home / "agent", at.tcp.port)
        self.agents.append(made)
        files = ("--tls-dir", str(home / "tls"), "--token-file", str(home / "token"))
        pinned = ("--ca-fingerprint", fingerprint) if fingerprint else ()
        made.start(*files, "--enroll", str(controller.enroll), *pinned)
        return made

    def end(self) -> None:
        for agent in self.agents:
            if agent.process is not None and agent.process.poll() is None:
                agent.kill()
            assert "Traceback" not in agent.said()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.end()


def wait_said(agent: AgentProcess, words: str) -> None:
    wait_for(words, lambda: words in agent.said(), agent.said)


def is_connected(agent: AgentProcess) -> Callable[[], Any]:
    return lambda: json.loads(agent.get("/status"))["controller"]["connected"]


def test_a_token_is_traded_once(site: Site) -> None:
    with controller_thread(site.config) as controller:
        token = site.token()
        assert token not in "".join(p.read_text() for p in (site.lab.ca / "tokens").iterdir() if p.is_file())
        agent = site.agent(controller, token)
        wait_for("session", is_connected(agent), agent.said)
        assert "enrolled with" in agent.said()
        home = site.folder / "a" / "tls"
        assert stat.S_IMODE((home / tls.KEY).stat().st_mode) == 0o600
        thief = site.agent(controller, token, "b")
        wait_said(thief, "the token was used before: make another with trafficd certs token --node n1")
        assert not (site.folder / "b" / "tls" / tls.CERTIFICATE).exists()


@pytest.mark.parametrize(
    ("node", "age", "said"),
    [
        ("n1", HOUR, "the token expired at"),
        ("n2", timedelta(), "the token is for node n2 and not for n1: make another"),
        ("", timedelta(), "the token is not known here: make another with trafficd certs token --node n1"),
    ],
)
def test_tokens_that_are_not_accepted(site: Site, node: str, age: timedelta, said: str) -> None:
    with controller_thread(site.config) as controller:
        agent = site.agent(controller, site.token(node, age) if node else "guess")
        wait_said(agent, said)
        # Another token is taken up without a restart.
        (site.folder / "a" / "token").write_text(site.token())
        wait_for("session", is_connected(agent), agent.said)


def test_an_authority_that_is_known_by_its_fingerprint(site: Site) -> None:
    ours = site.lab.authority.fingerprint
    with controller_thread(site.config) as controller:
        token = site.token()
        astray = site.agent(controller, token, "b", "0" * 64)
        wait_said(
            astray, f"no authority of {controller.enroll} has the fingerprint {'0' * 64} (it names {ours})"
        )
        assert not list((site.folder / "b" / "tls").iterdir()), (
            "nothing is believed, and the token is not shown"
        )
        colons = "sha256:" + ":".join(ours[i : i + 2].upper() for i in range(0, 64, 2))
        agent = site.agent(controller, token, "a", colons)
        wait_for("session", is_connected(agent), agent.said)
        assert f"with fingerprint {ours}" in agent.said()
        ends = x509.load_pem_x509_certificate((site.folder / "a" / "tls" / tls.CERTIFICATE).read_bytes())
        metric = 'trafficd_agent_certificate_expiry_timestamp_seconds{node="n1"} '

        def said() -> list[float]:
            lines = agent.get("/metrics").decode().splitlines()
            return [float(line.removeprefix(metric)) for line in lines if line.startswith(metric)]

        wait_for("metric", said, agent.said)
        assert said() == [ends.not_valid_after_utc.timestamp()]
        with urllib.request.urlopen(f"http://127.0.0.1:{controller.http_port}/metrics", timeout=5) as page:
            series = page.read().decode()
        assert all(
            f'trafficd_certificate_expiry_timestamp_seconds{{file="{p}"}}' in series
            for p in (site.config.tls / tls.CERTIFICATE, site.lab.ca / tls.AUTHORITIES)
        )


def test_an_impostor_that_names_the_right_authority_gets_no_token(site: Site, tmp_path: Path) -> None:
    """It shows the authority that everybody may know, and has no certificate of it."""
    (tmp_path / "other").mkdir()
    impostor = replace(site.config, tls=CertLab(tmp_path / "other").issue("controller/c1"))
    with controller_thread(impostor) as controller:
        token = site.token()
        agent = site.agent(controller, token, "a", site.lab.authority.fingerprint)
        wait_said(agent, "is not signed by an authority in")
        assert site.lab.authority.fingerprint in agent.said(), "the authority itself was the right one"
        assert not (site.folder / "a" / "tls" / tls.CERTIFICATE).exists()
    tokens.redeem(site.lab.ca, token, "n1", now())


def test_a_certificate_is_renewed_in_time_and_brings_the_new_authority(site: Site) -> None:
    home = site.folder / "a" / "tls"
    site.lab.issue("agent/n1", -23 * HOUR, DAY, to=home)
    before = (home / tls.CERTIFICATE).read_bytes(), (home / tls.KEY).read_bytes()
    with controller_thread(site.config) as controller:
        old = site.lab.authority.bundle
        agent = site.agent(controller, "none")
        wait_said(agent, "renewed the certificate with")
        assert (home / tls.CERTIFICATE).read_bytes() != before[0]
        assert (home / tls.KEY).read_bytes() == before[1]
        agent.kill()
        site.lab.issue("agent/n1", -23 * HOUR, DAY, to=home)
        site.lab.rotate()
        assert site.config.tls is not None
        (site.config.tls / tls.AUTHORITIES).write_bytes(site.lab.authority.bundle)
        again = AgentProcess.start
        again(
            agent,
            "--tls-dir",
            str(home),
            "--token-file",
            str(home / "no"),
            "--enroll",
            str(controller.enroll),
        )
        wait_said(agent, "renewed the certificate with")
        assert (home / tls.AUTHORITIES).read_bytes() == site.lab.authority.bundle != old


def test_an_expired_certificate_needs_a_token(site: Site) -> None:
    home = site.folder / "a" / "tls"
    site.lab.issue("agent/n1", -3 * HOUR, to=home)
    with controller_thread(site.config) as controller:
        agent = site.agent(controller, "")
        (site.folder / "a" / "token").unlink()
        wait_said(agent, "and no token to enrol with (cannot read")
        assert "the certificate expired at" in agent.said()
        (site.folder / "a" / "token").write_text(site.token())
        wait_for("session", is_connected(agent), agent.said)


async def refusal(
    address: str, method: Callable[[grpc.aio.Channel], Any], material: tls.Material | bytes
) -> str:
    """What a call gets; with authorities alone the caller shows no certificate."""
    if isinstance(material, bytes):
        credentials = grpc.ssl_channel_credentials(material)
    else:
        credentials = tls.channel_credentials(material)
    async with grpc.aio.secure_channel(address, credentials) as channel:
        try:
            await method(channel)
        except grpc.aio.AioRpcError as e:
            return f"{e.code().name}: {e.details()}"
    return "ok"


def enroll(channel: grpc.aio.Channel, node: str = "n1", token: str = "", request: bytes = b"") -> Any:
    stub: Any = identity_pb2_grpc.IdentityServiceStub(channel)
    asked = identity_pb2.EnrollRequest(
        node=node, token=token, signing_request=request or signing_request(new_key(), node)
    )
    return stub.Enroll(asked, timeout=10)


def renew(channel: grpc.aio.Channel) -> Any:
    stub: Any = identity_pb2_grpc.IdentityServiceStub(channel)
    asked = identity_pb2.RenewCertificateRequest(signing_request=signing_request(new_key(), "n9"))
    return stub.RenewCertificate(asked, timeout=10)


def status(channel: grpc.aio.Channel) -> Any:
    stub: Any = policy_pb2_grpc.PolicyServiceStub(channel)
    return stub.GetStatus(policy_pb2.GetStatusRequest(), timeout=10)


def test_what_callers_without_a_certificate_may_do(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with controller_thread(site.config) as controller:
        roots, at = site.lab.authority.bundle, str(controller.enroll)
        denied = "PERMISSION_DENIED: a caller without a certificate may not call trafficd.api.v1."
        assert asyncio.run(refusal(at, status, roots)).startswith(f"{denied}PolicyService/GetStatus")
        assert asyncio.run(refusal(at, renew, roots)).startswith(f"{denied}IdentityService/RenewCertificate")
        token = site.token()
        bad = asyncio.run(refusal(at, lambda c: enroll(c, token=token, request=b"x"), roots))
        assert bad.startswith("INVALID_ARGUMENT: the signing request cannot be read")
        slash = asyncio.run(refusal(at, lambda c: enroll(c, node="a/b", token=token), roots))
        assert slash.startswith("INVALID_ARGUMENT: 'a/b' cannot be written into a certificate")
        with caplog.at_level(logging.INFO, "trafficd.identity"):
            assert asyncio.run(refusal(at, lambda c: enroll(c, token=token), roots)) == "ok", (
                "it still was good"
            )
        assert "node n1 enrolled, asked by ipv4:127.0.0.1:" in caplog.text
        # A renewal is for the node of the certificate, whatever the request says; and for nodes alone.
        mine = tls.read(site.lab.issue("agent/n1"))
        main_port = str(controller.grpc[0])
        assert asyncio.run(refusal(main_port, renew, mine)) == "ok"
        operator = tls.read(site.lab.issue("operator/o"))
        assert "operator o may not call" in asyncio.run(refusal(main_port, renew, operator))
        (site.lab.ca / "ca.key").unlink()
        assert "FAILED_PRECONDITION: the controller cannot sign: cannot read" in asyncio.run(
            refusal(main_port, renew, mine)
        )


def test_a_controller_without_an_authority_says_so(tmp_path: Path) -> None:
    lab = CertLab(tmp_path)
    settings = ControllerConfig(
        listen=(parse_listen("127.0.0.1:0"),),
        http=Address("127.0.0.1", 0),
        state=tmp_path / "state.db",
        tls=lab.issue("controller/c1"),
    )
    with controller_thread(settings) as controller:
        answer = asyncio.run(refusal(str(controller.grpc[0]), renew, tls.read(lab.issue("agent/n1"))))
    assert answer.startswith(
        "FAILED_PRECONDITION: this controller signs no certificates: start it with --ca-dir"
    )


def test_command_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = CertLab(tmp_path)
    assert main(["certs", "token", "--node", "n1", str(lab.ca)]) == 0
    token = capsys.readouterr().out.strip()
    tokens.redeem(lab.ca, token, "n1", now())
    with pytest.raises(tokens.TokenError, match="was used before"):
        tokens.redeem(lab.ca, token, "n1", now())
    assert main(["certs", "token", "--node", "n1", str(tmp_path / "none")]) == 4
    serve = ["serve", "--state", str(tmp_path / "s.db"), "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"]
    assert main([*serve, "--ca-dir", str(lab.ca)]) == 2
    assert main([*serve, "--tls-dir", str(tmp_path), "--enroll-listen", "127.0.0.1:0"]) == 2
    assert main([*serve, "--tls-dir", str(tmp_path), "--insecure"]) == 2
    assert main([*serve, "--tls-dir", str(tmp_path / "none")]) == 4
    controller = str(lab.issue("controller/c1"))
    assert main([*serve, "--tls-dir", controller, "--ca-dir", str(tmp_path / "none")]) == 4
    run = ["run", "--node", "n1", "--enroll", "127.0.0.1:1"]
    assert agent_main(run) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["trafficd"] * 6 + ["trafficd-agent"]
