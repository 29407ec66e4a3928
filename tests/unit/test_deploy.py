"""The manifests: valid Kubernetes, flags and files that the product takes, pages that it serves, no more rights than said."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions
from prometheus_client import CollectorRegistry

from trafficd import __version__, cli
from trafficd.web import Pages, page
from trafficd_agent import cli as agent_cli
from trafficd_agent.app.drivers import bind
from trafficd_agent.app.run import Plan, Running, refuse_plaintext
from trafficd_agent.config import Config, default_config, parse_config
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.lanes import Mode

BASE = Path(__file__).parents[2] / "deploy" / "base"
KUSTOMIZATION: Any = yaml.safe_load((BASE / "kustomization.yaml").read_text())
MANIFESTS: list[str] = KUSTOMIZATION["resources"]
NEWEST = sorted({tuple(map(int, v.split(".")[:2])) for v in all_versions()})[-3:]
VERSIONS = [".".join(map(str, v)) for v in NEWEST]
RIGHT = re.compile(
    r"\b(hostNetwork|hostPID|hostIPC|hostPath|privileged|allowPrivilegeEscalation: true|runAsUser: 0\b|add:)"
)
"""What no pod gets by itself; a comment above says why."""


def documents(name: str) -> Iterator[Any]:
    yield from (d for d in yaml.safe_load_all((BASE / name).read_text()) if d)


EVERYTHING = [d for name in MANIFESTS for d in documents(name)]


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod template with one container."""

    name: str
    pod: Any

    @property
    def container(self) -> Any:
        (only,) = self.pod["spec"]["containers"]
        return only

    @property
    def arguments(self) -> list[str]:
        """The command line after the program, as the node gpu-1 would get it."""
        line = [*self.container["command"][1:], *self.container["args"]]
        return [a.replace("$(NODE_NAME)", "gpu-1") for a in line]


def workload(kind: str) -> Workload:
    (found,) = (d for d in EVERYTHING if d["kind"] == kind)
    return Workload(found["metadata"]["name"], found["spec"]["template"])


CONTROLLER, AGENT = workload("Deployment"), workload("DaemonSet")
BOTH = pytest.mark.parametrize("pods", [CONTROLLER, AGENT], ids=lambda w: w.name)


# Kubernetes.


def test_every_file_is_used() -> None:
    generated = [f for m in KUSTOMIZATION["configMapGenerator"] for f in m["files"]]
    used = [*MANIFESTS, "kustomization.yaml", *(f.rpartition("=")[2] for f in generated)]
    assert sorted(used) == sorted(p.name for p in BASE.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_validate_strictly(name: str, version: str) -> None:
    assert [kubernetes_validate.validate(d, version, strict=True) for d in documents(name)] == [
        version for _ in documents(name)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_validation_finds_a_field_that_does_not_exist(version: str) -> None:
    (wrong,) = (d for d in documents("agent.yaml") if d["kind"] == "DaemonSet")
    wrong["spec"]["template"]["spec"]["hostNetworking"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="hostNetworking"):
        kubernetes_validate.validate(wrong, version, strict=True)


@BOTH
def test_names_agree(pods: Workload) -> None:
    """Selectors find their pods; volumes and service accounts are those that the other files make."""
    (owner,) = (d for d in EVERYTHING if d["metadata"]["name"] == pods.name and "spec" in d)
    labels = pods.pod["metadata"]["labels"]
    assert owner["spec"]["selector"]["matchLabels"].items() <= labels.items()
    accounts = [d["metadata"]["name"] for d in EVERYTHING if d["kind"] == "ServiceAccount"]
    assert pods.pod["spec"]["serviceAccountName"] in accounts
    volumes = pods.pod["spec"]["volumes"]
    made = {m["name"] for m in KUSTOMIZATION["configMapGenerator"]}
    assert {v["configMap"]["name"] for v in volumes if "configMap" in v} <= made
    claims = {d["metadata"]["name"] for d in EVERYTHING if d["kind"] == "PersistentVolumeClaim"}
    assert {
        v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v
    } <= claims
    assert {m["name"] for m in pods.container["volumeMounts"]} == {v["name"] for v in volumes}


def test_the_service_leads_to_the_controller() -> None:
    (service,) = (d for d in EVERYTHING if d["kind"] == "Service")
    assert service["spec"]["selector"].items() <= CONTROLLER.pod["metadata"]["labels"].items()
    ports = {p["name"]: p["containerPort"] for p in CONTROLLER.container["ports"]}
    served = {p["name"]: (p["port"], ports[p["targetPort"]]) for p in service["spec"]["ports"]}
    assert served == {"grpc": (7600, 7600), "http": (7601, 7601)}
    name = f"{service['metadata']['name']}.{KUSTOMIZATION['namespace']}.svc"
    assert agent_arguments().controller == [f"{name}:7600"]
    assert KUSTOMIZATION["namespace"] in [
        d["metadata"]["name"] for d in EVERYTHING if d["kind"] == "Namespace"
    ]


def test_the_image_is_of_this_version() -> None:
    assert KUSTOMIZATION["images"] == [{"name": "trafficd", "newTag": __version__}]
    assert {w.container["image"] for w in (CONTROLLER, AGENT)} == {"trafficd"}


@BOTH
def test_resources_are_bounded(pods: Workload) -> None:
    resources = pods.container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


@BOTH
def test_as_few_rights_as_can_be(pods: Workload) -> None:
    context = pods.container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    assert "privileged" not in context
    profiles = [
        context.get("seccompProfile"),
        pods.pod["spec"].get("securityContext", {}).get("seccompProfile"),
    ]
    assert {"type": "RuntimeDefault"} in profiles
    assert pods.pod["spec"]["automountServiceAccountToken"] is False
    assert CONTROLLER.pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert AGENT.container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]


def unexplained(text: str) -> list[str]:
    """Lines that give a right and have no comment above them."""
    lines = [line.strip() for line in text.splitlines()]
    rights = [(above, line) for above, line in pairwise(["", *lines]) if RIGHT.search(line.partition("#")[0])]
    return [line for above, line in rights if not above.startswith("#")]


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_right_has_its_reason(name: str) -> None:
    assert unexplained((BASE / name).read_text()) == []


def test_a_right_without_a_reason_is_found() -> None:
    text = "a: 1\n# It needs the host's network.\nhostNetwork: true\nsecurityContext: {privileged: true}\n"
    assert unexplained(text) == ["securityContext: {privileged: true}"]


# The product.


def controller_arguments() -> argparse.Namespace:
    return cli._parser().parse_args(CONTROLLER.arguments)


def agent_arguments() -> argparse.Namespace:
    return agent_cli._parser().parse_args(AGENT.arguments)


def agent_config() -> Config:
    """What the agent makes of its file and its flags."""
    parsed, problems = parse_config(config_file(AGENT, agent_arguments().config).read_text())
    assert problems == ()
    assert parsed is not None
    return agent_cli._overridden(parsed, agent_arguments())


def mounted(pods: Workload, path: Path) -> Any:
    """The volume that holds a path of the container."""
    mounts = [m for m in pods.container["volumeMounts"] if path.is_relative_to(m["mountPath"])]
    (name,) = [m["name"] for m in mounts]
    (volume,) = [v for v in pods.pod["spec"]["volumes"] if v["name"] == name]
    return volume


def config_file(pods: Workload, path: Path) -> Path:
    """The file here that the container sees at a path."""
    wanted = mounted(pods, path)["configMap"]["name"]
    (files,) = [m["files"] for m in KUSTOMIZATION["configMapGenerator"] if m["name"] == wanted]
    keys = {f.partition("=")[0]: f.rpartition("=")[2] for f in files}
    return BASE / keys[path.name]


def port(pods: Workload, name: str) -> int:
    (found,) = [p["containerPort"] for p in pods.container["ports"] if p["name"] == name]
    return int(found)


def agent_pages() -> list[str]:
    table, problems = bind(default_config())
    assert problems == ()
    return list(Running(Plan(default_config(), table)).pages())


def controller_serves(path: str) -> bool:
    return page(Pages(CollectorRegistry(), str, str), path).status == 200


def test_the_controller_takes_its_command_line() -> None:
    assert CONTROLLER.container["command"][0] == "trafficd"
    args = controller_arguments()
    (listen,) = args.listen
    assert not listen.local
    assert args.insecure
    assert (listen.tcp.port, args.http.port) == (port(CONTROLLER, "grpc"), port(CONTROLLER, "http"))
    assert "persistentVolumeClaim" in mounted(CONTROLLER, args.state)


def test_the_agent_takes_its_command_line_and_its_file() -> None:
    assert AGENT.container["command"][0] == "trafficd-agent"
    config = agent_config()
    assert config.node == "gpu-1"
    assert refuse_plaintext(config) == ""
    assert config.http == f"0.0.0.0:{port(AGENT, 'http')}"
    assert "hostPath" in mounted(AGENT, Path(config.state_dir))


def test_a_flag_that_does_not_exist_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    for parser, pods in ((cli._parser(), CONTROLLER), (agent_cli._parser(), AGENT)):
        with pytest.raises(SystemExit):
            parser.parse_args([*pods.arguments, "--no-such-flag"])
    assert capsys.readouterr().err.count("--no-such-flag") == 2


def test_the_agents_file_says_the_defaults() -> None:
    path = config_file(AGENT, agent_arguments().config)
    parsed, problems = parse_config(path.read_text())
    assert problems == ()
    assert parsed is not None
    default = default_config()
    assert replace(parsed, rules=()) == replace(default, rules=())
    (written, nothing), (usual, _) = bind(parsed), bind(default)
    assert nothing == ()
    assert [(b.rule.kind, b.rule.match, b.driver.name, b.driver.options) for b in written.bound] == [
        (b.rule.kind, b.rule.match, b.driver.name, b.driver.options) for b in usual.bound
    ]


def test_the_controllers_files_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    args = controller_arguments()
    policy, fabric = (config_file(CONTROLLER, p) for p in (args.policy, args.fabric))
    assert cli.main(["check", str(policy), str(fabric)]) == 0
    assert "no problems" in capsys.readouterr().out
    policies, _ = parse_policies(policy.read_text())
    assert policies is not None
    # Whoever tries it out changes nothing on any node.
    assert {p.mode for p in policies.policies} == {Mode.OBSERVE}
    assert parse_fabric(fabric.read_text())[1] == ()


@BOTH
def test_probes_and_scrapes_ask_for_pages_that_are_served(pods: Workload) -> None:
    served = agent_pages().__contains__ if pods is AGENT else controller_serves
    probes = [pods.container[p]["httpGet"] for p in ("readinessProbe", "livenessProbe")]
    assert [p["path"] for p in probes] == ["/readyz", "/healthz"]
    assert {p["port"] for p in probes} == {"http"}
    assert all(served(p["path"]) for p in probes)
    assert served("/metrics")
    assert not served("/no-such-page")
    notes = pods.pod["metadata"]["annotations"]
    assert notes == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port(pods, "http"))}
