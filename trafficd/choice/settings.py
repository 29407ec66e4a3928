"""How paths are chosen, as the operator's policy says (``paths``, docs/policy.md); the same for every caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathSettings:
    """``strategy`` and ``engines`` are names of ``registry``; empty ``engines`` is the strategy's own rule.

    ``through_compute_nics``: what enters or leaves a GPU passes its paired compute NIC, copies within the node
    included (DualPath, section 5), so that a read loads compute NICs on either side. ``alpha_s`` and ``beta_s`` are
    the paper's (A.4). A part of a split has at least ``min_part_bytes``, a read at most ``max_parts`` of them, and a
    split is worth it where it is ``hysteresis`` sooner done than the best single leg; ``setup_s`` is what another leg
    costs before its first byte.
    """

    strategy: str = "balanced"
    engines: str = ""
    through_compute_nics: bool = False
    alpha_s: float = 3.0
    beta_s: float = 5.0
    min_part_bytes: int = 16 * 2**20
    max_parts: int = 4
    hysteresis: float = 0.02
    setup_s: float = 0.0005


DEFAULTS = PathSettings()
