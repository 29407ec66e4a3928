"""Renders deploy/base and deploy/overlays from the Helm chart.

Usage: tools/manifests.py HELM [--check]

The chart is the one source. Base is the chart with the values of profiles/minimal; an overlay holds what another
profile adds, and whole objects to merge over those that it changes. --check writes nothing and exits 1 when a file is
not current.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DEPLOY, CHART = ROOT / "deploy", ROOT / "deploy" / "helm" / "trafficd"
FILES = CHART / "files"
NAMESPACE = "trafficd"
OVERLAYS = ("minimal", "production", "infiniband")
SOURCE = re.compile(r"^# Source: trafficd/templates/(\S+)\n", re.MULTILINE)
HEAD = "# Rendered from deploy/helm by make manifests: change the chart or a profile instead.\n"
NAMESPACE_FILE = f"""{HEAD}apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    # The agent needs the host's network and NET_ADMIN, which the stricter levels forbid.
    pod-security.kubernetes.io/enforce: privileged
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One object of the chart: the template it came from, its text with comments, and what the text says."""

    template: str
    text: str
    value: Any

    @property
    def name(self) -> str:
        return f"{self.value['kind']}-{self.value['metadata']['name']}".lower()


def render(helm: str, profile: str) -> list[Rendered]:
    """Every object of the chart with the values of a profile."""
    command = [helm, "template", "trafficd", str(CHART), "--namespace", NAMESPACE]
    values = ["--values", str(DEPLOY / "profiles" / f"{profile}.yaml")]
    out = subprocess.run([*command, *values], capture_output=True, text=True, timeout=60, check=False)
    if out.returncode:
        raise SystemExit(f"helm cannot render {profile}: {out.stderr.strip()}")
    return list(_objects(out.stdout))


def _objects(text: str) -> Iterator[Rendered]:
    for document in re.split(r"^---\n", text, flags=re.MULTILINE):
        if (found := SOURCE.search(document)) and (value := yaml.safe_load(document)):
            lines = SOURCE.sub("", document).splitlines()
            body = "\n".join(line.rstrip() for line in lines if line.strip()) + "\n"
            # An empty line inside a file that an object carries means something; then the text is kept as it is.
            if yaml.safe_load(body) != value:
                body = SOURCE.sub("", document)
            yield Rendered(found[1], body, value)


def _kustomization(comment: str, resources: list[str], patches: list[str]) -> str:
    lines = [HEAD + f"# {comment}", "apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization"]
    lines += [f"namespace: {NAMESPACE}", "resources:", *(f"  - {r}" for r in resources)]
    if patches:
        lines += ["patches:", *(f"  - path: {p}" for p in patches)]
    return "\n".join(lines) + "\n"


def base(objects: list[Rendered]) -> dict[str, str]:
    files: dict[str, str] = {}
    for o in objects:
        before = files.get(o.template)
        files[o.template] = f"{before}---\n{o.text}" if before else HEAD + o.text
    comment = "Everything but the namespace: kubectl apply -k deploy/overlays/minimal"
    return {**files, "kustomization.yaml": _kustomization(comment, sorted(files), [])}


def overlay(profile: str, under: list[Rendered], objects: list[Rendered]) -> dict[str, str]:
    """Raises SystemExit when the profile leaves out an object: merging cannot take one away."""
    known = {o.name: o for o in under}
    if lost := known.keys() - {o.name for o in objects}:
        raise SystemExit(
            f"profile {profile} leaves out {', '.join(sorted(lost))}: put them into another profile"
        )
    added = {f"{o.name}.yaml": HEAD + o.text for o in objects if o.name not in known}
    changed = {
        f"patch-{o.name}.yaml": HEAD + o.text
        for o in objects
        if o.name in known and o.value != known[o.name].value
    }
    resources = ["../../base", "namespace.yaml", *sorted(added)]
    comment = f"kubectl apply -k deploy/overlays/{profile}"
    text = _kustomization(comment, resources, sorted(changed))
    return {**added, **changed, "namespace.yaml": NAMESPACE_FILE, "kustomization.yaml": text}


def copied() -> dict[Path, str]:
    """What the chart carries of dashboards/: Helm reads nothing outside its own directory."""
    dashboards = ROOT / "dashboards"
    found = {FILES / p.name: p.read_text() for p in sorted(dashboards.glob("*.json"))}
    rules = dashboards / "rules.yaml"
    return {**found, FILES / "rules.yaml": rules.read_text()} if rules.exists() else found


def wanted(helm: str) -> dict[Path, str]:
    under = render(helm, "minimal")
    files = {DEPLOY / "base" / name: text for name, text in base(under).items()}
    for profile in OVERLAYS:
        objects = render(helm, profile)
        folder = DEPLOY / "overlays" / profile
        files |= {folder / name: text for name, text in overlay(profile, under, objects).items()}
    return files


def present(*folders: Path) -> dict[Path, str]:
    return {p: p.read_text() for f in folders for p in f.rglob("*") if p.is_file()}


def put(files: dict[Path, str], *folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments: list[str]) -> int:
    helm, check = arguments[0], "--check" in arguments
    made = DEPLOY / "base", DEPLOY / "overlays"
    if not check:
        put(copied(), FILES)
        put(wanted(helm), *made)
        return 0
    stale = {*present(FILES).items()} ^ {*copied().items()}
    stale |= {*present(*made).items()} ^ {*wanted(helm).items()}
    for path in sorted({p.relative_to(ROOT) for p, _ in stale}):
        print(f"{path} is not current: run make manifests", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
