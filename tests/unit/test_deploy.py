"""The chart and what is rendered from it: valid Kubernetes, flags and files that the product takes, pages that it serves,
no more rights than said.
"""

from __future__ import annotations

import argparse
import copy
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions
from prometheus_client import CollectorRegistry

from trafficd import __version__, cli
from trafficd.kube.review import AUDIENCE
from trafficd.web import Pages, page
from trafficd_agent import cli as agent_cli
from trafficd_agent.app.drivers import bind
from trafficd_agent.app.run import Plan, Running, refuse_plaintext
from trafficd_agent.config import Config, default_config, parse_config
from trafficd_topology.parsers.fabric import parse_fabric
from trafficd_topology.parsers.policy import parse_policies
from trafficd_topology.qos.lanes import Mode

ROOT = Path(__file__).parents[2]
DEPLOY, CHART = ROOT / "deploy", ROOT / "deploy" / "helm" / "trafficd"
HELM, KUBECTL = ROOT / ".tools" / "bin" / "helm", ROOT / ".tools" / "bin" / "kubectl"
PROFILES = ("minimal", "production", "infiniband")
NEWEST = sorted({tuple(map(int, v.split(".")[:2])) for v in all_versions()})[-3:]
VERSIONS = [".".join(map(str, v)) for v in NEWEST]
RIGHT = re.compile(
    r"\b(hostNetwork|hostPID|hostIPC|hostPath|privileged: true|allowPrivilegeEscalation: true|runAsUser: 0\b|add:"
    r"|automountServiceAccountToken: true)"
)
"""What no pod gets by itself; a comment above says why."""
OTHERS = {"PodMonitor", "PrometheusRule", "Certificate"}
"""Kinds of the Prometheus operator and of cert-manager, which Kubernetes' own schemas do not have."""


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def rendered(profile: str) -> tuple[Any, ...]:
    """By kustomize, as kubectl apply -k would."""
    return tuple(d for d in yaml.safe_load_all(run(KUBECTL, "kustomize", DEPLOY / "overlays" / profile)) if d)


@cache
def templated(profile: str, *more: str) -> tuple[Any, ...]:
    """By Helm, as helm install would."""
    values = DEPLOY / "profiles" / f"{profile}.yaml"
    out = run(HELM, "template", "trafficd", CHART, "-n", "trafficd", "-f", values, *more)
    return tuple(d for d in yaml.safe_load_all(out) if d)


def named(objects: tuple[Any, ...]) -> dict[str, Any]:
    return {f"{d['kind']}/{d['metadata']['name']}": d for d in objects}


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod template with one container, and everything it is deployed with."""

    profile: str
    kind: str
    name: str

    @property
    def pod(self) -> Any:
        return named(rendered(self.profile))[f"{self.kind}/{self.name}"]["spec"]["template"]

    @property
    def container(self) -> Any:
        (only,) = self.pod["spec"]["containers"]
        return only

    @property
    def arguments(self) -> list[str]:
        """The command line after the program, as the node gpu-1 would get it."""
        line = [*self.container["command"][1:], *self.container["args"]]
        return [a.replace("$(NODE_NAME)", "gpu-1") for a in line]


CONTROLLERS = [Workload(p, "Deployment", "trafficd-controller") for p in PROFILES]
AGENTS = [Workload(p, "DaemonSet", "trafficd-agent") for p in PROFILES]
BESIDE = Workload("infiniband", "DaemonSet", "trafficd-agent-sm")
EACH = pytest.mark.parametrize("pods", [*CONTROLLERS, *AGENTS, BESIDE], ids=lambda w: f"{w.profile}-{w.name}")
EACH_AGENT = pytest.mark.parametrize("pods", [*AGENTS, BESIDE], ids=lambda w: f"{w.profile}-{w.name}")
EACH_CONTROLLER = pytest.mark.parametrize("pods", CONTROLLERS, ids=lambda w: w.profile)


# Kubernetes.


def test_what_is_rendered_is_current() -> None:
    run(sys.executable, ROOT / "tools" / "manifests.py", HELM, "--check")


@pytest.mark.parametrize("profile", PROFILES)
def test_kustomize_and_helm_deploy_the_same(profile: str) -> None:
    ours = named(rendered(profile))
    assert ours.pop("Namespace/trafficd")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "privileged"
    }
    for d in (theirs := named(templated(profile))).values():
        if d["kind"] != "ClusterRoleBinding":
            d["metadata"]["namespace"] = "trafficd"
    assert ours == theirs


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_manifests_validate_strictly(profile: str, version: str) -> None:
    objects = [d for d in rendered(profile) if d["kind"] not in OTHERS]
    assert len(objects) >= 9
    for d in objects:
        kubernetes_validate.validate(d, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_validation_finds_a_field_that_does_not_exist(version: str) -> None:
    wrong = copy.deepcopy(named(rendered("minimal"))["DaemonSet/trafficd-agent"])
    wrong["spec"]["template"]["spec"]["hostNetworking"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="hostNetworking"):
        kubernetes_validate.validate(wrong, version, strict=True)


@pytest.mark.parametrize("profile", PROFILES)
def test_helm_lints(profile: str) -> None:
    out = run(HELM, "lint", "--strict", CHART, "-f", DEPLOY / "profiles" / f"{profile}.yaml")
    assert "[WARNING]" not in out


def test_values_that_do_not_exist_are_refused_all_at_once() -> None:
    wrong = ("agent.nope=1", "controller.logLevel=loud", "agent.maxUnavailable=x", "policy=", "tls.enabled=3")
    command = [HELM, "template", "t", CHART, *(f"--set={w}" for w in wrong)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    places = re.findall(r"^- at '(/[^']*)'", done.stderr, re.MULTILINE)
    assert sorted(places) == ["/agent", "/controller/logLevel", "/policy", "/tls/enabled"]


VALUES = (
    "image.registry=registry.example/team",
    "image.tag=9.9",
    "image.pullSecrets[0].name=pull",
    "controller.persistence.existingClaim=mine",
    "controller.nodeSelector.a=b",
    "controller.extraArgs[0]=--log-level=debug",
    "agent.affinity.nodeAffinity.x=y",
    "agent.podAnnotations.a=b",
    "policyConfigMap=p",
    "fabricConfigMap=f",
    "networkPolicy.nodeCidrs[0]=10.0.0.0/8",
    "controller.service.type=LoadBalancer",
    "controller.persistence.storageClass=fast",
)


def test_values_reach_the_objects() -> None:
    before, after = named(templated("minimal")), named(templated("minimal", *(f"--set={v}" for v in VALUES)))
    assert before.keys() - after.keys() == {
        "PersistentVolumeClaim/trafficd-state", "ConfigMap/trafficd-policy", "ConfigMap/trafficd-fabric",
    }  # fmt: skip
    pod = after["Deployment/trafficd-controller"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example/team/trafficd-controller:9.9"
    assert pod["containers"][0]["args"][-1] == "--log-level=debug"
    assert (pod["imagePullSecrets"], pod["nodeSelector"]) == ([{"name": "pull"}], {"a": "b"})
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert volumes["state"]["persistentVolumeClaim"] == {"claimName": "mine"}
    assert (volumes["policy"]["configMap"], volumes["fabric"]["configMap"]) == ({"name": "p"}, {"name": "f"})
    agent = after["DaemonSet/trafficd-agent"]["spec"]["template"]
    assert agent["metadata"]["annotations"]["a"] == "b"
    assert agent["spec"]["affinity"] == {"nodeAffinity": {"x": "y"}}
    (first, second, _) = after["NetworkPolicy/trafficd-controller"]["spec"]["ingress"]
    assert first["from"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert second["ports"] == [{"port": "grpc"}]


def test_agents_start_anew_when_their_settings_change() -> None:
    def stamp(*more: str) -> str:
        pod = named(templated("minimal", *more))["DaemonSet/trafficd-agent"]["spec"]["template"]
        return str(pod["metadata"]["annotations"]["trafficd.dev/config"])

    assert stamp() != stamp("--set=agent.config.verify_seconds=31")


@EACH
def test_names_agree(pods: Workload) -> None:
    """Selectors find their pods; volumes and service accounts are those that the other objects make."""
    objects = named(rendered(pods.profile))
    owner = objects[f"{pods.kind}/{pods.name}"]
    assert owner["spec"]["selector"]["matchLabels"].items() <= pods.pod["metadata"]["labels"].items()
    assert f"ServiceAccount/{pods.pod['spec']['serviceAccountName']}" in objects
    volumes = pods.pod["spec"]["volumes"]
    # The authority is the operator's: docs/kubernetes.md says how to make it.
    maps = {f"ConfigMap/{v['configMap']['name']}" for v in volumes if "configMap" in v}
    assert maps - objects.keys() <= {"ConfigMap/trafficd-authority"}
    claims = [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v]
    assert {f"PersistentVolumeClaim/{c}" for c in claims} <= objects.keys()
    assert {m["name"] for m in pods.container["volumeMounts"]} == {v["name"] for v in volumes}


@pytest.mark.parametrize("profile", PROFILES)
def test_selectors_tell_the_workloads_apart(profile: str) -> None:
    pods = [w for w in (*CONTROLLERS, *AGENTS, BESIDE) if w.profile == profile]
    labels = [tuple(sorted(w.pod["metadata"]["labels"].items())) for w in pods]
    assert len(set(labels)) == len(pods)


@EACH_CONTROLLER
def test_the_service_leads_to_the_controller(pods: Workload) -> None:
    service = named(rendered(pods.profile))["Service/trafficd"]
    assert service["spec"]["selector"].items() <= pods.pod["metadata"]["labels"].items()
    ports = {p["name"]: p["containerPort"] for p in pods.container["ports"]}
    served = {p["name"]: (p["port"], ports[p["targetPort"]]) for p in service["spec"]["ports"]}
    secure = pods.profile != "minimal"
    assert served == {
        "grpc": (7600, 7600), "http": (7601, 7601), **({"enroll": (7603, 7603)} if secure else {}),
    }  # fmt: skip
    agent = agent_arguments(Workload(pods.profile, "DaemonSet", "trafficd-agent"))
    assert agent.controller == ["trafficd.trafficd.svc:7600"]
    assert agent.enroll == ("trafficd.trafficd.svc:7603" if secure else None)


@EACH
def test_the_image_is_of_this_version(pods: Workload) -> None:
    part = "controller" if pods.kind == "Deployment" else "agent"
    assert pods.container["image"] == f"trafficd-{part}:{__version__}"
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


@EACH
def test_resources_are_bounded(pods: Workload) -> None:
    resources = pods.container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


@pytest.mark.parametrize("pods", [*CONTROLLERS, *AGENTS], ids=lambda w: f"{w.profile}-{w.name}")
def test_as_few_rights_as_can_be(pods: Workload) -> None:
    context = pods.container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    assert "privileged" not in context
    above = pods.pod["spec"].get("securityContext", {})
    assert {"type": "RuntimeDefault"} in [context.get("seccompProfile"), above.get("seccompProfile")]
    if pods.kind == "Deployment":
        assert above["runAsNonRoot"] is True
        assert "add" not in context["capabilities"]
        assert pods.pod["spec"].keys() & {"hostNetwork", "hostPID", "hostIPC"} == set()
        assert not [v for v in pods.pod["spec"]["volumes"] if "hostPath" in v]
    else:
        assert context["capabilities"]["add"] == ["NET_ADMIN"]
        assert pods.pod["spec"]["automountServiceAccountToken"] is False


def test_only_agents_beside_a_subnet_manager_are_privileged_and_only_on_its_nodes() -> None:
    assert BESIDE.container["securityContext"]["privileged"] is True
    assert BESIDE.pod["spec"]["nodeSelector"] == {"trafficd.dev/subnet-manager": ""}
    assert BESIDE.pod["spec"]["hostPID"] is True


def unexplained(text: str) -> list[str]:
    """Lines that give a right and have no comment above them."""
    lines = [line.strip() for line in text.splitlines()]
    rights = [(above, line) for above, line in pairwise(["", *lines]) if RIGHT.search(line.partition("#")[0])]
    return [line for above, line in rights if not above.startswith("#")]


MANIFESTS = sorted(p for f in ("base", "overlays") for p in (DEPLOY / f).rglob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: str(p.relative_to(DEPLOY)))
def test_every_right_has_its_reason(path: Path) -> None:
    assert unexplained(path.read_text()) == []


def test_a_right_without_a_reason_is_found() -> None:
    text = "a: 1\n# It needs the host's network.\nhostNetwork: true\nsecurityContext: {privileged: true}\n"
    assert unexplained(text) == ["securityContext: {privileged: true}"]


# The product.


def controller_arguments(pods: Workload) -> argparse.Namespace:
    return cli._parser().parse_args(pods.arguments)


def agent_arguments(pods: Workload) -> argparse.Namespace:
    return agent_cli._parser().parse_args(pods.arguments)


def agent_config(pods: Workload) -> Config:
    """What the agent makes of its file and its flags."""
    parsed, problems = parse_config(config_text(pods, agent_arguments(pods).config))
    assert problems == ()
    assert parsed is not None
    return agent_cli._overridden(parsed, agent_arguments(pods))


def mounted(pods: Workload, path: Path) -> Any:
    """The volume that holds a path of the container."""
    mounts = [m for m in pods.container["volumeMounts"] if path.is_relative_to(m["mountPath"])]
    name = max(mounts, key=lambda m: len(m["mountPath"]))["name"]
    (volume,) = [v for v in pods.pod["spec"]["volumes"] if v["name"] == name]
    return volume


def config_text(pods: Workload, path: Path) -> str:
    """The text that the container sees at a path."""
    name = mounted(pods, path)["configMap"]["name"]
    return str(named(rendered(pods.profile))[f"ConfigMap/{name}"]["data"][path.name])


def port(pods: Workload, name: str) -> int:
    (found,) = [p["containerPort"] for p in pods.container["ports"] if p["name"] == name]
    return int(found)


def agent_pages() -> list[str]:
    table, problems = bind(default_config())
    assert problems == ()
    return list(Running(Plan(default_config(), table)).pages())


def controller_serves(path: str) -> bool:
    return page(Pages(CollectorRegistry(), str, str), path).status == 200


@EACH_CONTROLLER
def test_the_controller_takes_its_command_line(pods: Workload) -> None:
    assert pods.container["command"][0] == "trafficd"
    args = controller_arguments(pods)
    (listen,) = args.listen
    assert not listen.local
    assert args.insecure is (pods.profile == "minimal")
    assert (listen.tcp.port, args.http.port) == (port(pods, "grpc"), port(pods, "http"))
    assert "persistentVolumeClaim" in mounted(pods, args.state)
    if not args.insecure:
        assert "secret" in mounted(pods, args.tls_dir)
        assert "secret" in mounted(pods, args.ca_dir)
        assert args.enroll_listen.port == port(pods, "enroll")
        assert args.enroll_service_account == "trafficd/trafficd-agent"
        binding = named(rendered(pods.profile))["ClusterRoleBinding/trafficd-controller-token-review"]
        account = pods.pod["spec"]["serviceAccountName"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "trafficd"}]


@EACH_AGENT
def test_the_agent_takes_its_command_line_and_its_file(pods: Workload) -> None:
    assert pods.container["command"][0] == "trafficd-agent"
    config = agent_config(pods)
    assert config.node == "gpu-1"
    assert refuse_plaintext(config) == ""
    assert config.http == f"0.0.0.0:{port(pods, 'http')}"
    assert "hostPath" in mounted(pods, Path(config.state_dir))
    if not config.insecure:
        # Written by the agent, so not in what is mounted read-only.
        assert "hostPath" in mounted(pods, Path(config.tls.dir))
        assert "configMap" in mounted(pods, Path(config.tls.ca_file))
        (source,) = mounted(pods, Path(config.tls.token_file))["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == AUDIENCE
        assert source["serviceAccountToken"]["path"] == Path(config.tls.token_file).name
    table, problems = bind(config)
    assert problems == ()
    drivers = {b.driver.name for b in table.bound}
    assert drivers == ({"dcb", "tc", "opensm"} if pods is BESIDE else {"dcb", "tc"})


def test_a_flag_that_does_not_exist_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    for parser, pods in ((cli._parser(), CONTROLLERS[0]), (agent_cli._parser(), AGENTS[0])):
        with pytest.raises(SystemExit):
            parser.parse_args([*pods.arguments, "--no-such-flag"])
    assert capsys.readouterr().err.count("--no-such-flag") == 2


@pytest.mark.parametrize("pods", AGENTS, ids=lambda w: w.profile)
def test_the_agents_file_says_the_defaults(pods: Workload) -> None:
    parsed, problems = parse_config(config_text(pods, agent_arguments(pods).config))
    assert problems == ()
    assert parsed is not None
    default = default_config()
    assert replace(parsed, rules=()) == replace(default, rules=())
    (written, nothing), (usual, _) = bind(parsed), bind(default)
    assert nothing == ()
    assert [(b.rule.kind, b.rule.match, b.driver.name, b.driver.options) for b in written.bound] == [
        (b.rule.kind, b.rule.match, b.driver.name, b.driver.options) for b in usual.bound
    ]


@EACH_CONTROLLER
def test_the_controllers_files_are_accepted(
    pods: Workload, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = controller_arguments(pods)
    for path in (args.policy, args.fabric):
        (tmp_path / path.name).write_text(config_text(pods, path))
    policy, fabric = tmp_path / args.policy.name, tmp_path / args.fabric.name
    assert cli.main(["check", str(policy), str(fabric)]) == 0
    assert "no problems" in capsys.readouterr().out
    policies, _ = parse_policies(policy.read_text())
    assert policies is not None
    # Whoever tries it out changes nothing on any node.
    assert {p.mode for p in policies.policies} == {Mode.OBSERVE}
    assert parse_fabric(fabric.read_text())[1] == ()


@EACH
def test_probes_and_scrapes_ask_for_pages_that_are_served(pods: Workload) -> None:
    served = agent_pages().__contains__ if pods.kind == "DaemonSet" else controller_serves
    probes = [pods.container[p]["httpGet"] for p in ("readinessProbe", "livenessProbe")]
    assert [p["path"] for p in probes] == ["/readyz", "/healthz"]
    assert {p["port"] for p in probes} == {"http"}
    assert all(served(p["path"]) for p in probes)
    assert served("/metrics")
    assert not served("/no-such-page")
    notes = pods.pod["metadata"]["annotations"]
    assert {k: v for k, v in notes.items() if k.startswith("prometheus.io/")} == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port(pods, "http")),
    }


@pytest.mark.parametrize("profile", ["production"])
def test_what_monitoring_gets(profile: str) -> None:
    objects = named(rendered(profile))
    (endpoint,) = objects["PodMonitor/trafficd"]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "http"
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        carried = objects[f"ConfigMap/trafficd-dashboard-{path.stem}"]
        assert carried["data"] == {path.name: path.read_text().rstrip("\n")} or carried["data"] == {
            path.name: path.read_text()
        }
        assert carried["metadata"]["labels"]["grafana_dashboard"] == "1"
