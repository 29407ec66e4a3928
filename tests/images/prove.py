"""Builds both images with buildah and starts what they hold: the controller serves, the agent programs a namespace.

Run as root: make images. The base is what the registry's debian:bookworm-slim is, made by mmdebstrap where no registry
is at hand. BUILD_MOUNTS names directories and files that package installation needs, as src:dst, separated by spaces.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:bookworm-slim"
VERSION = "0.1.0"
IMAGES = ("controller", "agent")
NODE, CONTROL = f"tfd{os.getpid()}n", f"tfd{os.getpid()}c"
"""Namespaces: a node with one NIC, and the controller at its other end."""
ADDRESSES = {NODE: "10.99.0.1/24", CONTROL: "10.99.0.2/24"}
GRPC, HTTP = "10.99.0.2:7600", "10.99.0.2:7601"
FABRIC = """\
version: 1
name: one
hosts:
  - name: n1
    role: prefill
    nics:
      - {name: c0, kind: compute, rate: 1G}
"""
POLICY = "version: 1\npolicies: [{name: lanes, preset: dualpath, mode: enforce}]\n"
AGENT = """\
ports:
  - {match: c0, driver: tc, options: {allow_multi_queue: true}}
"""
WAIT_S = 60.0


def run(*command: object, timeout: float = 900.0) -> str:
    words = list(map(str, command))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


def base_image() -> None:
    have = subprocess.run(["buildah", "inspect", "--type=image", BASE], capture_output=True, check=False)
    if have.returncode == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "base.tar"
        run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", tar)
        container = run("buildah", "from", "scratch").strip()
        run("buildah", "add", "-q", container, tar, "/")
        run("buildah", "commit", "-q", "--rm", container, BASE)


def build(part: str) -> None:
    mounts = [f"--volume={m}:ro" for m in os.environ.get("BUILD_MOUNTS", "").split()]
    file = ROOT / "deploy" / "images" / f"{part}.Dockerfile"
    tag = f"trafficd-{part}:{VERSION}"
    run("buildah", "bud", "--pull-never", "--network=host", *mounts, "-f", file, "-t", tag, ROOT)


@contextmanager
def started(log: Path, *command: object) -> Iterator[None]:
    with log.open("w") as out:
        words = list(map(str, command))
        process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(20)


@contextmanager
def container(part: str) -> Iterator[str]:
    name = run("buildah", "from", "--pull-never", f"localhost/trafficd-{part}:{VERSION}").strip()
    try:
        yield name
    finally:
        run("buildah", "rm", name)


@contextmanager
def namespaces() -> Iterator[None]:
    for name in ADDRESSES:
        run("ip", "netns", "add", name)
    try:
        run("ip", "-n", NODE, "link", "add", "c0", "type", "veth", "peer", "name", "c0", "netns", CONTROL)
        for name, address in ADDRESSES.items():
            run("ip", "-n", name, "address", "add", address, "dev", "c0")
            run("ip", "-n", name, "link", "set", "c0", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in ADDRESSES:
            run("ip", "netns", "del", name)


def inside(name: str, *command: object) -> tuple[int, str]:
    words = ["ip", "netns", "exec", name, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout


def wait(what: str, true: Callable[[], bool], logs: Path) -> float:
    begin = time.monotonic()
    while not true():
        if time.monotonic() - begin > WAIT_S:
            said = "\n".join(f"{p.name}:\n{p.read_text()[-1500:]}" for p in sorted(logs.glob("*.log")))
            raise SystemExit(f"{what}: not within {WAIT_S:.0f} s\n{said}")
        time.sleep(0.2)
    return time.monotonic() - begin


def serves() -> bool:
    get = f"import urllib.request; print(urllib.request.urlopen('http://{HTTP}/readyz', timeout=2).status)"
    return inside(CONTROL, sys.executable, "-c", get)[1].strip() == "200"


def verified() -> bool:
    """Says the command of this tree, asking the controller of the image."""
    code, _ = inside(CONTROL, Path(sys.executable).parent / "trafficd", "status", "--controller", GRPC)
    return code == 0


def classes() -> int:
    return inside(NODE, "tc", "class", "show", "dev", "c0")[1].count("class htb")


def prove(folder: Path) -> None:
    for name, text in (("fabric.yaml", FABRIC), ("policy.yaml", POLICY), ("agent.yaml", AGENT)):
        (folder / name).write_text(text)
    for name in ("ctl", "agent"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.enter_context(namespaces())
        controller, agent = (stack.enter_context(container(part)) for part in IMAGES)
        mount = ("buildah", "run", f"--volume={folder}:{folder}", "--network=host")
        files = ("--state", folder / "ctl" / "state.db", "--policy", folder / "policy.yaml")
        serve = ("trafficd", "serve", "--listen", GRPC, "--insecure", "--http", HTTP, *files)
        command = (
            "ip",
            "netns",
            "exec",
            CONTROL,
            *mount,
            controller,
            *serve,
            "--fabric",
            folder / "fabric.yaml",
        )
        stack.enter_context(started(folder / "controller.log", *command))
        took = wait("the controller serves", serves, folder)
        print(f"controller  serves gRPC and HTTP after {took:.1f} s, as user {owner('trafficd serve')}")
        flags = (
            "--node",
            "n1",
            "--controller",
            GRPC,
            "--insecure",
            "--state-dir",
            folder / "agent",
            "--http",
            "",
        )
        # As in the manifests: of root's rights NET_ADMIN is left, and no others can be got.
        rights = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs")
        follow = (*rights, "trafficd-agent", "run", "--config", folder / "agent.yaml", *flags)
        command = ("ip", "netns", "exec", NODE, *mount, "--cap-add=CAP_NET_ADMIN", agent, *follow)
        stack.enter_context(started(folder / "agent.log", *command))
        took = wait("lanes verified", lambda: classes() >= 5 and verified(), folder)
        print(f"agent       programs c0 with {classes()} classes after {took:.1f} s, with NET_ADMIN alone")


def owner(words: str) -> str:
    rows = run("ps", "-eo", "uid,args").splitlines()
    return next((r.split()[0] for r in rows if words in r and "buildah-chroot-exec" in r), "unknown")


def main() -> int:
    for tool in ("buildah", "mmdebstrap", "ip", "tc"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: apt-get install buildah mmdebstrap iproute2")
    os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
    base_image()
    for part in IMAGES:
        begin = time.monotonic()
        build(part)
        size = json.loads(run("buildah", "images", "--json", f"trafficd-{part}:{VERSION}"))[0]["size"]
        print(f"{part:<11} built in {time.monotonic() - begin:.0f} s, {size}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        prove(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
