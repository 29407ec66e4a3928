"""Nodes enrol with their pods' tokens: a whole controller, real TLS, and what an API server answers to a TokenReview."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from certlab import CertLab, controller_thread

from trafficd.api.v1 import identity_pb2, identity_pb2_grpc
from trafficd.cli import main
from trafficd.config import Address, ControllerConfig, parse_listen
from trafficd.kube.review import AUDIENCE, NODE_CLAIM, Holder, KubeError, NotGenuineError, holder
from trafficd_agent.session.certificate import new_key, signing_request

ACCOUNT = "trafficd/trafficd-agent"
USER = "system:serviceaccount:trafficd:trafficd-agent"


def accepted(node: str = "n1", user: str = USER, audience: str = AUDIENCE) -> dict[str, Any]:
    extra = {NODE_CLAIM: [node]} if node else {}
    return {
        "authenticated": True,
        "audiences": [audience],
        "user": {"username": user, "uid": "1", "groups": ["system:authenticated"], "extra": extra},
    }


ANSWERS: dict[str, dict[str, Any]] = {
    "a.good.token": accepted(),
    "of.another.node": accepted("n2"),
    "of.another.account": accepted(user="system:serviceaccount:default:somebody"),
    "of.a.person": accepted(user="jane"),
    "of.an-old.cluster": accepted(node=""),
    "for.another.audience": accepted(audience="vault"),
}


class Api(BaseHTTPRequestHandler):
    """TokenReview as Kubernetes 1.32 answers it: 201, the status filled in, an unknown token not authenticated."""

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(size))
        if self.headers["Authorization"] != "Bearer controllers-own":
            failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}
            self._answer(403, {**failure, "reason": "Forbidden", "message": "tokenreviews is forbidden"})
            return
        assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews"
        assert asked["spec"]["audiences"] == [AUDIENCE]
        no = {"authenticated": False, "user": {}, "error": "[invalid bearer token]"}
        self._answer(201, {**asked, "status": ANSWERS.get(asked["spec"]["token"], no)})

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@contextmanager
def api_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def kubeconfig(folder: Path, url: str, token: str = "controllers-own") -> Path:
    path = folder / "kubeconfig"
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path.write_text(json.dumps(body))
    return path


@dataclass(frozen=True, slots=True)
class Site:
    folder: Path
    lab: CertLab
    config: ControllerConfig

    def enrol(self, at: str, token: str, node: str = "n1") -> str:
        """The certificate, or why there is none."""
        request = identity_pb2.EnrollRequest(
            node=node, token=token, signing_request=signing_request(new_key(), node)
        )
        credentials = grpc.ssl_channel_credentials(self.lab.authority.bundle)
        with grpc.secure_channel(at, credentials) as channel:
            try:
                made = identity_pb2_grpc.IdentityServiceStub(channel).Enroll(request, timeout=20)
            except grpc.RpcError as e:
                return f"{e.code().name}: {e.details()}"  # type: ignore[attr-defined]
        return str(made.certificate.certificate)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    lab = CertLab(tmp_path)
    with api_server() as url:
        config = ControllerConfig(
            listen=(parse_listen("127.0.0.1:0"),),
            http=Address("127.0.0.1", 0),
            state=tmp_path / "state.db",
            tls=lab.issue("controller/c1"),
            ca=lab.ca,
            enroll=parse_listen("127.0.0.1:0"),
            service_account=ACCOUNT,
            kubeconfig=kubeconfig(tmp_path, url),
        )
        yield Site(tmp_path, lab, config)


def test_a_pods_token_certifies_its_own_node_and_no_other(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with controller_thread(site.config) as controller:
        at = str(controller.enroll)
        assert site.enrol(at, "a.good.token").startswith("-----BEGIN CERTIFICATE-----")
        assert {
            token: site.enrol(at, token) for token in (*ANSWERS, "a.forged.token") if token != "a.good.token"
        } == {
            "of.another.node": "PERMISSION_DENIED: the token's pod runs on node n2 and not on n1",
            "of.another.account": "PERMISSION_DENIED: the token is of service account default/somebody, and nodes "
            "enrol with trafficd/trafficd-agent",
            "of.a.person": "PERMISSION_DENIED: the token is of 'jane', which is no service account",
            "of.an-old.cluster": "FAILED_PRECONDITION: the API server does not say on which node the token's pod runs: "
            "that takes Kubernetes 1.30; enrol with a token of trafficd certs token --node n1",
            "for.another.audience": "PERMISSION_DENIED: the token is not meant for the audience trafficd: project one "
            "that is",
            "a.forged.token": "PERMISSION_DENIED: the API server does not accept the token: [invalid bearer token]",
        }
        # One-time tokens go on working beside them.
        assert main(["certs", "token", "--node", "n3", str(site.lab.ca)]) == 0
        assert site.enrol(at, capsys.readouterr().out.strip(), "n3").startswith("-----BEGIN")


def test_without_an_api_server_nobody_enrols_and_the_reason_is_told(site: Site) -> None:
    gone = replace(site.config, kubeconfig=kubeconfig(site.folder, "http://127.0.0.1:1"))
    with controller_thread(gone) as controller:
        said = site.enrol(str(controller.enroll), "a.good.token")
    assert said.startswith("UNAVAILABLE: the Kubernetes API does not answer: ")


def test_what_the_api_server_is_asked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server() as url:
        assert holder("a.good.token", kubeconfig(tmp_path, url)) == Holder(ACCOUNT, "n1")
        with pytest.raises(NotGenuineError):
            holder("guess", kubeconfig(tmp_path, url))
        with pytest.raises(KubeError, match="bind the controller's service account to the cluster role"):
            holder("a.good.token", kubeconfig(tmp_path, url, token="somebody-elses"))
    with pytest.raises(KubeError, match=r"cannot be reached with .*none"):
        holder("a.good.token", tmp_path / "none")
    (tmp_path / "broken").write_text("apiVersion: [")
    with pytest.raises(KubeError, match=r"cannot be reached with .*broken"):
        holder("a.good.token", tmp_path / "broken")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubeError, match="this is no pod of a cluster: give --kubeconfig"):
        holder("a.good.token")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = CertLab(tmp_path)
    serve = ["serve", "--state", str(tmp_path / "s.db"), "--tls-dir", str(lab.issue("controller/c1"))]
    with pytest.raises(SystemExit):
        main([*serve, "--enroll-service-account", "trafficd-agent"])
    assert "is no NAMESPACE/NAME of a service account" in capsys.readouterr().err
    assert main([*serve, "--ca-dir", str(lab.ca), "--enroll-service-account", ACCOUNT]) == 2
    assert "give --enroll-listen too" in capsys.readouterr().err
