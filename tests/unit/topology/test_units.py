"""Rates, bandwidths and addresses: what is read, what is refused, and one text for each."""

import math
from typing import Any

import pytest

from trafficd_topology.parsers import units
from trafficd_topology.parsers.tree import load


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("400G", 400 * 10**9),
        ("2.5G", 2_500_000_000),
        ("100Mb/s", 10**8),
        ("100 Mbit/s", 10**8),
        ("1K", 1000),
        ("100T", 10**14),
        (100_000_000, 10**8),
        (1.0, 1),
        ("7", 7),
        *[
            (bad, None)
            for bad in (
                "",
                "G",
                "-1G",
                "0",
                "0.5",
                "1.0000000000001K",
                "400g",
                "1GB/s",
                "1e9",
                "\u0661G",
                "101T",
            )
        ],
        *[(bad, None) for bad in (0, -1, 1.5, math.nan, math.inf, True, None, [], {}, 10**15)],
    ],
)
def test_rate(value: Any, expected: int | None) -> None:
    assert units.rate(value) == expected


@pytest.mark.parametrize("value", [1, 999, 1000, 1500, 10**8, 2_500_000_000, 4 * 10**11, 123_456_789, 10**14])
def test_rate_and_bandwidth_texts_read_back(value: int) -> None:
    assert units.rate(units.rate_text(value)) == value
    assert units.bandwidth(units.bandwidth_text(value)) == value


def test_bandwidth_is_bytes() -> None:
    found = [units.bandwidth(v) for v in ("500GB/s", "1.5TB/s", 7, "500G", "500Gb/s", "500GiB/s", math.nan)]
    assert found == [500 * 10**9, 1_500 * 10**9, 7, None, None, None, None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0000:3B:00.1", "0000:3b:00.1"),
        ("3b:1f.7", "0000:3b:1f.7"),
        ("10000:01:00.0", "10000:01:00.0"),
        *[(bad, None) for bad in ("3b:00.8", "3b:20.0", "3b:00", "", "0000:3b:00.0 ", 1080.0, None)],
    ],
)
def test_pci(value: Any, expected: str | None) -> None:
    assert units.pci(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0x506B4B03005C2740", "0x506b4b03005c2740"),
        ("506b:4b03:005c:2740", "0x506b4b03005c2740"),
        ("50:6b:4b:03:00:5c:27:40", "0x506b4b03005c2740"),
        (5065403005274012, "0x5065403005274012"),
        *[(bad, None) for bad in ("0x506b", "506b4b:03005c:2740", "0" * 16, "", "0x" * 8, 12, True, None)],
    ],
)
def test_guid(value: Any, expected: str | None) -> None:
    assert units.guid(value) == expected


def test_addresses_and_names_without_quotes_stay_text() -> None:
    """YAML 1.1 would make 1080.0, True, 7, 18 and a number of base 60 of these."""
    tree, problems = load(
        "[0000:18:00.0, on, 007, 0x12, 12:30:40, 1e9, 506e4012, 2024-01-01, 0002190300101234]"
    )
    assert problems == ()
    assert all(isinstance(item, str) for item in tree)
    assert load("[1, -2, 1.5, 1.0e3, true, ~]")[0] == [1, -2, 1.5, 1000.0, True, None]
