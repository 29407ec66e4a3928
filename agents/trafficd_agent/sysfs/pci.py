"""PCIe: which switch a device hangs below, and which GPU sits beside a NIC. Pure; addresses only.

A device's **chain** is the PCI addresses from the root port to the device. Below a PCIe switch the chain is
root port, upstream port, downstream port, device (and longer where switches are stacked). The device's switch is
named by the upstream port nearest to the root port, so that everything below one root port's switches shares it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

Chain = tuple[str, ...]
_BELOW_A_SWITCH = 4


@dataclass(frozen=True, slots=True)
class Device:
    """A PCI function with its chain, which ends in its own address."""

    address: str
    chain: Chain
    numa_node: int | None = None


def switch(chain: Chain) -> str | None:
    """The PCIe switch above a device; None when it hangs at a root port or the machine does not say."""
    return chain[1] if len(chain) >= _BELOW_A_SWITCH else None


def shared(a: Chain, b: Chain) -> int:
    """How many bridges two devices have in common, counted from the root port."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _nearest(nic: Device, gpus: tuple[Device, ...]) -> tuple[int, ...]:
    """Indexes of the GPUs below the NIC's switch that share most of its chain."""
    if switch(nic.chain) is None:
        return ()
    near = [
        (shared(nic.chain, g.chain), i) for i, g in enumerate(gpus) if switch(g.chain) == switch(nic.chain)
    ]
    best = max((n for n, _ in near), default=0)
    return tuple(i for n, i in near if n == best)


def pair_gpus(nics: tuple[Device, ...], gpus: tuple[Device, ...]) -> dict[str, int]:
    """NIC address -> index of its GPU. NICs that are equally near to several GPUs take them in turn, in PCI order;
    the functions of one card share a turn.
    """
    turns: dict[tuple[int, ...], list[str]] = {}
    paired: dict[str, int] = {}
    for nic in sorted(nics, key=lambda d: d.address):
        if candidates := _nearest(nic, gpus):
            card = nic.address.rpartition(".")[0]
            cards = turns.setdefault(candidates, [])
            if card not in cards:
                cards.append(card)
            paired[nic.address] = candidates[cards.index(card) % len(candidates)]
    return paired
