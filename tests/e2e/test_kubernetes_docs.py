"""The commands of docs/kubernetes.md, as far as they can be run without a cluster: rendered, dry, or parsed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trafficd import cli

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "bin"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
IN_A_CLUSTER = ("kubectl label ", "helm uninstall ", "docker build ")
"""Nothing of ours is in them but names, which other tests hold."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs")
    (made / "deploy").symlink_to(ROOT / "deploy")
    (made / "fabric.yaml").write_text("version: 1\nname: cluster\nhosts: []\n")
    return made


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def helm(folder: Path, words: list[str]) -> None:
    """Rendered instead of sent."""
    flags = [w for w in words[2:] if w not in {"--create-namespace", "--reuse-values"}]
    objects = list(yaml.safe_load_all(run(folder, str(TOOLS / "helm"), "template", *flags)))
    assert {"Deployment", "DaemonSet"} <= {o["kind"] for o in objects}


def kubectl(folder: Path, words: list[str]) -> None:
    """What would be sent, or, for a command in a pod, whether the product takes it."""
    if "--" in words:
        program, *arguments = words[words.index("--") + 1 :]
        assert program == "trafficd"
        cli._parser().parse_args([a for a in arguments if a != ">"][: -1 if ">" in arguments else None])
    elif words[1] == "apply":
        assert run(folder, str(TOOLS / "kubectl"), "kustomize", words[-1])
    else:
        made = run(folder, str(TOOLS / "kubectl"), *words[1:], "--dry-run=client", "-o", "yaml")
        assert yaml.safe_load(made)["data"]


def test_every_command_of_the_page(folder: Path) -> None:
    ran = 0
    for line in COMMANDS:
        words = shlex.split(line)
        if line.startswith(IN_A_CLUSTER):
            continue
        match words[0]:
            case "helm":
                helm(folder, words)
            case "kubectl":
                kubectl(folder, words)
            case "trafficd":
                run(folder, str(Path(sys.executable).parent / "trafficd"), *words[1:])
            case _:
                pytest.fail(f"no way to try: {line}")
        ran += 1
    assert ran >= 12
    shutil.rmtree(folder / "ca")


def test_the_labels_of_the_page_are_those_of_the_manifests() -> None:
    overlay = ROOT / "deploy" / "overlays" / "infiniband"
    assert "trafficd.dev/subnet-manager=" in PAGE
    assert "trafficd.dev/subnet-manager" in (overlay / "daemonset-trafficd-agent-sm.yaml").read_text()
    assert "pod-security.kubernetes.io/enforce=privileged" in PAGE
    assert "pod-security.kubernetes.io/enforce: privileged" in (overlay / "namespace.yaml").read_text()


def test_the_empty_policy_that_gives_ports_back_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = re.findall(r"--from-literal=policy.yaml='([^']*)'", PAGE)
    (tmp_path / "p.yaml").write_text(text)
    assert cli.main(["check", str(tmp_path / "p.yaml")]) == 0
    assert "no problems" in capsys.readouterr().out


def test_the_dockerfiles_of_the_page_are_there() -> None:
    files = re.findall(r"^docker build -f (\S+) -t \S+/(trafficd-\w+):", PAGE, re.MULTILINE)
    assert [name for _, name in files] == ["trafficd-controller", "trafficd-agent"]
    assert all((ROOT / file).exists() for file, _ in files)
