"""Text to tree: what YAML lets pass silently is refused here."""

import pytest

from trafficd_topology.parsers.tree import Mapping, load


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe", "not a text file: byte 0 is not UTF-8"),
        (b"a: 1\na: 2\n", "not valid YAML: 'a' is given twice"),
        (b"a: &x [1]\nb: *x\n", "YAML aliases (*name) are not allowed: write the value out"),
        (b"a: " + b"[" * 40 + b"]" * 40, "nested deeper than 32 levels"),
        (b"a: !!python/object:os.system x", "line 1, column 4: YAML tags (!name) are not allowed"),
        (b"a: 1\nb: !!map [1]", "line 2, column 4: YAML tags (!name) are not allowed"),
        (b"a: !!bool x", "line 1, column 4: YAML tags (!name) are not allowed"),
        (b"!!timestamp x", "line 1, column 1: YAML tags (!name) are not allowed"),
        (b"a: ! x", "line 1, column 4: YAML tags (!name) are not allowed"),
        (b"[" * 200_000, "nested deeper than 32 levels"),
    ],
)
def test_refused_with_one_problem(text: bytes, reason: str) -> None:
    tree, problems = load(text)
    assert tree is None
    assert [p.reason[: len(reason)] for p in problems] == [reason]


def test_every_problem_at_once_with_its_path() -> None:
    tree, _ = load(f"name: ''\nrate: .nan\nload: {'9' * 400}\nport: true\nnmae: x\n")
    found = Mapping(tree, "nics[0]", problems := [])
    found.text("name"), found.number("rate"), found.number("load"), found.whole("port"), found.text("kind")
    found.done()
    assert [str(p) for p in problems] == [
        "nics[0].name: must be a word (found '')",
        "nics[0].rate: must be a number from 0 to inf (found nan)",
        f"nics[0].load: must be a number from 0 to inf (found {'9' * 57}...)",
        "nics[0].port: must be a whole number from 0 to 9223372036854775808 (found True)",
        "nics[0].kind: is missing",
        "nics[0].nmae: unknown key: did you mean name?",
    ]
