"""The presets that ship with the product, read once from the package's data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from trafficd_topology.parsers.tree import load
from trafficd_topology.qos.policy import Preset


@dataclass(frozen=True, slots=True)
class PresetTree:
    """A preset as a tree of the policy file's form: what a policy may override item by item."""

    lanes: tuple[dict[str, Any], ...] = ()
    classes: tuple[dict[str, Any], ...] = ()
    infiniband: dict[str, Any] = field(default_factory=dict)
    roce: dict[str, Any] | None = None


def read_preset(preset: Preset) -> str:
    """The preset's YAML text."""
    return (files("trafficd_topology.qos") / "presets" / f"{preset}.yaml").read_text("utf-8")


@cache
def preset_tree(preset: Preset) -> PresetTree:
    """The preset as a tree; its values are shared: copy before changing one."""
    if preset is Preset.NONE:
        return PresetTree()
    tree, problems = load(read_preset(preset))
    if problems:
        raise ValueError(f"preset {preset} in the package is broken: {problems[0]}")
    return PresetTree(tuple(tree["lanes"]), tuple(tree["classes"]), tree.get("infiniband", {}), tree["roce"])
