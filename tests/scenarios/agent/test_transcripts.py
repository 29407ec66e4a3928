"""Scenarios of one scope as transcripts: commands and what follows from each, in text.

REWRITE=1 records what happens now; read the difference before you keep it. A command is a line beginning with
``>``; what follows up to the next one is the work that was done, the latches kept, and where the scope stands if
that changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest
from agentlab import NAMED, PORT, Killed, Lab, enforced

from trafficd_agent.apply import SaveError
from trafficd_agent.drivers.fake import FakeOptions
from trafficd_agent.files import ScopeFiles
from trafficd_agent.scope import (
    Advanced,
    Drained,
    Granted,
    Noticed,
    Paused,
    Reached,
    Retried,
    ScopeState,
    Told,
)
from trafficd_topology.diff import Disruption
from trafficd_topology.qos.lanes import Mode
from trafficd_topology.status import Generation

HERE = Path(__file__).parent
WORDS: dict[str, Callable[[str], object]] = {
    "fail_after": int,
    "absent": "yes".__eq__,
    "read_only": "yes".__eq__,
}
LISTS = ("refuse", "ignore", "alter", "half", "lie", "drop", "unreadable", "foreign")


def generation(text: str) -> Generation:
    epoch, number = text.split(".")
    return Generation(int(epoch), int(number))


def told(lab: Lab, words: list[str]) -> None:
    """told GENERATION STATE [observe] [revert=SECONDS] | told GENERATION unknown"""
    lab.revert_s = next((float(w.split("=")[1]) for w in words if w.startswith("revert=")), 0.0)
    lab.generation = generation(words[0])
    mode = Mode.OBSERVE if "observe" in words else Mode.ENFORCE
    refusal = "element warp/1 is of a kind that this agent does not know" if words[1] == "unknown" else ""
    lab.accepted = enforced(NAMED.get(words[1], ()), mode, refusal)
    if lab.state is None:
        lab.state = ScopeState(lab.accepted, lab.limits)
    lab.post(Told(lab.accepted, lab.generation, lab.revert_s))


def header(lab: Lab, words: list[str]) -> None:
    lab.generation = generation(words[0])
    lab.post(Advanced(lab.generation))


def deselect(lab: Lab, words: list[str]) -> None:
    lab.generation, lab.accepted = generation(words[0]), None
    lab.post(Told(None, lab.generation))


def forget(lab: Lab, words: list[str]) -> None:
    """forget GENERATION: deselected while no agent runs"""
    lab.generation, lab.accepted = generation(words[0]), None


def behave(lab: Lab, words: list[str]) -> None:
    pairs = [w.split("=", 1) for w in words]
    lab.behave(**{k: tuple(v.split(",")) if k in LISTS else WORDS.get(k, str)(v) for k, v in pairs})


def device(lab: Lab, words: list[str]) -> None:
    """device STATE: another writer puts it there. device -ELEMENT: another writer removes it"""
    if words[0].startswith("-"):
        lab.driver.device.put(PORT.name, words[0][1:], None)
    else:
        lab.driver.device.hold(PORT.name, NAMED[words[0]])


def kill(lab: Lab, words: list[str]) -> None:
    """kill N COMMAND...: the process dies after the N-th write of the command; the same disk and device remain"""
    lab.driver.kill_after = lab.driver.device.writes(PORT.name) + int(words[0])
    with pytest.raises(Killed):
        COMMANDS[words[1]](lab, words[2:])
    lab.driver.kill_after = None
    lab.state = None


def corrupt(lab: Lab, words: list[str]) -> None:
    (path,) = (lab.directory / words[0]).glob("*.json")
    path.write_bytes(path.read_bytes().replace(b"98000000", b"98000001"))


def pause(lab: Lab, words: list[str]) -> None:
    """pause WHY...: on the node, whether or not an agent runs"""
    lab.paused = " ".join(words)
    if lab.state is not None:
        lab.post(Paused(lab.paused))


def resume(lab: Lab, words: list[str]) -> None:
    lab.paused = ""
    lab.post(Paused(""))


def grant(lab: Lab, words: list[str]) -> None:
    """grant GENERATION COST SECONDS"""
    lab.post(Granted(generation(words[0]), Disruption[words[1]], float(words[2])))


def drained(lab: Lab, words: list[str]) -> None:
    lab.post(Drained({"yes": True, "no": False, "unknown": None}[words[0]]))


def reached(lab: Lab, words: list[str]) -> None:
    lab.revert_s = 0.0
    lab.post(Reached())


COMMANDS: dict[str, Callable[[Lab, list[str]], None]] = {
    "told": told,
    "header": header,
    "deselect": deselect,
    "forget": forget,
    "behave": behave,
    "device": device,
    "kill": kill,
    "corrupt": corrupt,
    "pass": lambda lab, words: lab.advance(float(words[0])),
    "notice": lambda lab, words: (lab.post(Noticed(" ".join(words))), lab.advance(lab.limits.gap_s))[1],
    "pause": pause,
    "resume": resume,
    "grant": grant,
    "drained": drained,
    "reached": reached,
    "retry": lambda lab, _: lab.post(Retried()),
    "hold": lambda lab, _: setattr(lab, "held", True),
    "release": lambda lab, _: lab.release(),
    "restart": lambda lab, _: lab.restart(),
}


def collapsed(log: list[str]) -> list[str]:
    """Work that repeats itself as one line."""
    out: list[str] = []
    for same, group in groupby(log, key=lambda line: re.sub(r"^work \d+ ", "work N ", line)):
        lines = list(group)
        first, last = lines[0].split()[1:2], lines[-1].split()[1:2]
        many = same.startswith("work N ") and len(lines) > 1
        out += [same.replace("work N", f"work {first[0]} to {last[0]}")] if many else lines
    return out


def play(text: str, lab: Lab) -> str:
    """The transcript as it runs now."""
    out: list[str] = []
    last = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            if line.startswith("#") or (out and out[-1]):
                out.append(line.strip())
            continue
        if not line.startswith(">"):
            continue
        lab.log.clear()
        word, *rest = line[1:].split()
        COMMANDS[word](lab, rest)
        out += [line, *collapsed(lab.log)]
        if (now := lab.summary()) != last:
            out.append(now)
        last = now
    return "\n".join(out).rstrip() + "\n"


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda p: p.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    options = FakeOptions(disruptive=("leaf",)) if "disruptive" in path.stem else FakeOptions()
    now = play(text, Lab.make(tmp_path, options))
    if os.environ.get("REWRITE"):
        path.write_text(now)
    assert now == text


def test_a_full_disk_is_a_condition_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SaveError("cannot save asfound: No space left on device; free space or correct its permissions")

    lab = Lab.make(tmp_path)
    with monkeypatch.context() as m:
        m.setattr(ScopeFiles, "begin", full)
        told(lab, ["1.1", "A"])
        assert lab.summary() == (
            "new, observed 1.1, Applied=False Verified=False Drifted=False Ready=False\n"
            "  NotSaved: cannot save asfound: No space left on device; free space or correct its permissions\n"
            "  drifts 0, repairs 0; device holds empty"
        )
    lab.advance(30)
    assert "device holds A" in lab.summary()
