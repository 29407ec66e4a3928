"""Where everything of a fabric is drawn: one layout for the status page and for ``trafficd topology draw``. Pure.

East-west switches are above the hosts and north-south switches below, those that NICs are cabled to nearest; hosts are
grouped by role. Lengths are in units of the drawing, one CSS pixel at its natural size; y grows downwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trafficd_topology.model import FabricSpec, Host, Nic, NicKind, PortKey, Role
from trafficd_topology.wiring import Wiring, wire

FEW_NICS = 160
"""Up to so many NICs, cables to NICs are drawn and cells are large; above, a page shows those of what is selected."""
MOST_TRUNKS = 800
"""More pairs of switches than this are no picture any more: they are left out and told so."""
WIDE = 1400
"""A drawing of many hosts wraps its rows here."""
ROW_HOSTS = 16
"""Up to so many hosts stand in one row, whatever their roles."""
PAD, GAP, TITLE, LETTER = 6, 10, 18, 7
SWITCH_HEIGHT, SWITCH_GAP, TIER_GAP = 24, 12, 46
NICS_ABREAST = 8
ROLES = (Role.PREFILL, Role.DECODE, Role.OTHER, Role.STORAGE)


@dataclass(frozen=True, slots=True)
class Box:
    x: int
    y: int
    width: int
    height: int

    def moved(self, x: int, y: int) -> Box:
        return replace(self, x=self.x + x, y=self.y + y)

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class DrawnNic:
    """``switches`` are indexes into ``Drawing.switches`` of those it is cabled to."""

    node: str
    name: str
    kind: NicKind
    rate_bps: int
    box: Box
    switches: tuple[int, ...] = ()

    @property
    def key(self) -> PortKey:
        return PortKey(self.node, self.name)


@dataclass(frozen=True, slots=True)
class DrawnHost:
    """``nics`` are a range of indexes into ``Drawing.nics``: the first, and how many."""

    name: str
    role: Role
    box: Box
    nics: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DrawnSwitch:
    """``above``: it is drawn above the hosts. ``tier``: 1 for one that NICs are cabled to."""

    name: str
    box: Box
    above: bool
    tier: int


@dataclass(frozen=True, slots=True)
class Line:
    """A cable from a NIC, or all cables between two switches (``trunk``)."""

    x1: int
    y1: int
    x2: int
    y2: int
    trunk: bool


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """``nics`` are in the order of the fabric file: hosts, then their NICs. ``left_out`` says what is not drawn."""

    name: str
    width: int
    height: int
    hosts: tuple[DrawnHost, ...]
    nics: tuple[DrawnNic, ...]
    switches: tuple[DrawnSwitch, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]
    left_out: str = ""


def draw(spec: FabricSpec) -> Drawing:
    """The drawing of a valid spec; ValueError for a link that ends nowhere."""
    wiring = wire(spec)
    found = _switches(wiring)
    cell = 22 if len(wiring.nics) <= FEW_NICS else 12
    blocks = _blocks(spec, cell)
    width = max(
        [
            _across(blocks),
            *(_tier_width(row) for row in _rows(found, above=True) + _rows(found, above=False)),
            320,
        ]
    )
    width = min(width, WIDE) if len(spec.hosts) > ROW_HOSTS else width
    above, top = _tiers(_rows(found, above=True), width, 0, upwards=True)
    hosts, labels, bottom = _placed(blocks, width, top)
    below, end = _tiers(_rows(found, above=False), width, bottom, upwards=False)
    boxes = {**above, **below}
    switches = tuple(
        DrawnSwitch(s.name, boxes[s.name], s.above, s.tier) for s in sorted(found, key=lambda s: s.number)
    )
    nics = _nics(spec, hosts, wiring, cell)
    return _with_lines(
        Drawing(spec.name, width, end, _counted(spec, hosts), nics, switches, (), labels), wiring
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A switch before it has a place. ``order`` sorts it among its tier: the mean number of the NICs under it."""

    number: int
    name: str
    above: bool
    tier: int
    order: float


def _switches(wiring: Wiring) -> tuple[_Found, ...]:
    numbers = wiring.numbers()
    peers = _peers(wiring, numbers)
    under: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for i, (key, attached) in enumerate(wiring.attached.items()):
        for number in attached.switches:
            under[number].append((float(i), wiring.nics[key].kind is NicKind.COMPUTE))
    tiers, tier = dict.fromkeys(under, 1), 1
    while fresh := {p for n, t in tiers.items() if t == tier for p in peers[n]} - tiers.keys():
        tier += 1
        tiers |= dict.fromkeys(fresh, tier)
        for n in fresh:
            among = [under[p] for p in peers[n] if tiers.get(p) == tier - 1]
            under[n] = [(sum(x for x, _ in u) / len(u), _mostly(u)) for u in among]
    return tuple(_found(i, name, tiers.get(i, 1), under.get(i, [])) for i, name in enumerate(wiring.switches))


def _found(number: int, name: str, tier: int, under: Sequence[tuple[float, bool]]) -> _Found:
    order = sum(x for x, _ in under) / len(under) if under else 0.0
    return _Found(number, name, _mostly(under), tier, order)


def _mostly(under: Iterable[tuple[float, bool]]) -> bool:
    votes = [1 if compute else -1 for _, compute in under]
    return sum(votes) >= 0


def _peers(wiring: Wiring, numbers: Mapping[str, int]) -> Mapping[int, set[int]]:
    peers: dict[int, set[int]] = defaultdict(set)
    for a, b in _trunks(wiring):
        peers[numbers[a]].add(numbers[b])
        peers[numbers[b]].add(numbers[a])
    return peers


def _trunks(wiring: Wiring) -> tuple[tuple[str, str], ...]:
    """Pairs of switches with a cable between them, once each."""
    names = frozenset(wiring.switches)
    found = (sorted((c.a.node, c.b.node)) for c in wiring.cables if c.a.node in names and c.b.node in names)
    return tuple(dict.fromkeys((a, b) for a, b in found if a != b))


def _rows(found: Iterable[_Found], *, above: bool) -> list[list[_Found]]:
    """Tiers of one side, that nearest to the hosts first."""
    tiers: dict[int, list[_Found]] = defaultdict(list)
    for s in found:
        if s.above is above:
            tiers[s.tier].append(s)
    return [sorted(tiers[t], key=lambda s: (s.order, s.number)) for t in sorted(tiers)]


def _switch_width(tier: Sequence[_Found]) -> int:
    return min(150, max(46, max(len(s.name) for s in tier) * LETTER + 2 * PAD))


def _tier_width(tier: Sequence[_Found]) -> int:
    return len(tier) * (_switch_width(tier) + SWITCH_GAP) + SWITCH_GAP


def _tiers(
    rows: Sequence[Sequence[_Found]], width: int, start: int, *, upwards: bool
) -> tuple[dict[str, Box], int]:
    """Boxes of one side's switches from ``start`` on, and where the next thing begins."""
    boxes: dict[str, Box] = {}
    y = start + (GAP if upwards or not rows else TIER_GAP)
    for tier in reversed(rows) if upwards else rows:
        abreast = max(1, (width - SWITCH_GAP) // (_switch_width(tier) + SWITCH_GAP))
        for at in range(0, len(tier), abreast):
            boxes |= _row(tier[at : at + abreast], min(abreast, len(tier)), width, y)
            y += SWITCH_HEIGHT + SWITCH_GAP
        y += TIER_GAP - SWITCH_GAP
    return boxes, y if upwards or not rows else y - TIER_GAP + GAP


def _row(row: Sequence[_Found], abreast: int, width: int, y: int) -> dict[str, Box]:
    step, wide = width / abreast, _switch_width(row)
    return {
        s.name: Box(round(step * (i + 0.5)) - wide // 2, y, wide, SWITCH_HEIGHT) for i, s in enumerate(row)
    }


@dataclass(frozen=True, slots=True)
class _Block:
    """Hosts of one role and the size that all of them are drawn with."""

    role: Role
    hosts: tuple[Host, ...]
    width: int
    height: int


def _cells(host: Host) -> tuple[int, int]:
    """How many NICs are abreast, and in how many rows; storage NICs begin a row of their own."""
    kinds = [sum(n.kind is kind for n in host.nics) for kind in NicKind]
    return min(NICS_ABREAST, max(kinds, default=0)), sum(-(-k // NICS_ABREAST) for k in kinds)


def _blocks(spec: FabricSpec, cell: int) -> tuple[_Block, ...]:
    made = []
    for role in ROLES:
        hosts = tuple(h for h in spec.hosts if h.role is role)
        if hosts:
            cells = [_cells(h) for h in hosts]
            named = min(16, max(len(h.name) for h in hosts)) * LETTER
            width = max(*(c for c, _ in cells), 1) if len(cells) > 1 else max(cells[0][0], 1)
            rows = max(r for _, r in cells)
            made.append(
                _Block(role, hosts, max(width * cell, named) + 2 * PAD, TITLE + rows * (cell + 2) + PAD)
            )
    return tuple(made)


def _across(blocks: Sequence[_Block]) -> int:
    """All hosts in one row, roles a little apart."""
    return sum(max(len(b.hosts) * (b.width + GAP), 12 * LETTER) + 2 * GAP for b in blocks)


def _placed(blocks: Sequence[_Block], width: int, top: int) -> tuple[dict[str, Box], tuple[Label, ...], int]:
    """A box for every host, a label for every role, and where the hosts end."""
    if sum(len(b.hosts) for b in blocks) <= ROW_HOSTS:
        return _in_one_row(blocks, width, top)
    boxes: dict[str, Box] = {}
    labels, y = [], top
    for block in blocks:
        labels.append(Label(_heading(block), GAP, y + 12))
        y += TITLE
        abreast = max(1, (width - GAP) // (block.width + GAP))
        for i, host in enumerate(block.hosts):
            x, row = GAP + i % abreast * (block.width + GAP), i // abreast
            boxes[host.name] = Box(x, y + row * (block.height + GAP), block.width, block.height)
        y += -(-len(block.hosts) // abreast) * (block.height + GAP)
    return boxes, tuple(labels), y


def _in_one_row(
    blocks: Sequence[_Block], width: int, top: int
) -> tuple[dict[str, Box], tuple[Label, ...], int]:
    boxes: dict[str, Box] = {}
    labels, x = [], GAP + max(0, width - _across(blocks)) // 2
    for block in blocks:
        labels.append(Label(_heading(block), x, top + 12))
        for i, host in enumerate(block.hosts):
            boxes[host.name] = Box(x + i * (block.width + GAP), top + TITLE, block.width, block.height)
        x += max(len(block.hosts) * (block.width + GAP), 12 * LETTER) + 2 * GAP
    return boxes, tuple(labels), top + TITLE + max((b.height for b in blocks), default=0)


def _heading(block: _Block) -> str:
    return f"{block.role.value} ({len(block.hosts)})"


def _counted(spec: FabricSpec, boxes: Mapping[str, Box]) -> tuple[DrawnHost, ...]:
    made, first = [], 0
    for host in spec.hosts:
        made.append(DrawnHost(host.name, host.role, boxes[host.name], (first, len(host.nics))))
        first += len(host.nics)
    return tuple(made)


def _nics(spec: FabricSpec, boxes: Mapping[str, Box], wiring: Wiring, cell: int) -> tuple[DrawnNic, ...]:
    return tuple(
        DrawnNic(h.name, n.name, n.kind, n.rate_bps, box, tuple(sorted(wiring.attached[key].switches)))
        for h in spec.hosts
        for n, box in _in_host(h, boxes[h.name], cell)
        for key in (PortKey(h.name, n.name),)
    )


def _in_host(host: Host, box: Box, cell: int) -> Iterator[tuple[Nic, Box]]:
    """In the order of the file; compute NICs are drawn above storage NICs."""
    computing = -(-sum(n.kind is NicKind.COMPUTE for n in host.nics) // NICS_ABREAST)
    seen = dict.fromkeys(NicKind, 0)
    for nic in host.nics:
        i = seen[nic.kind]
        seen[nic.kind] += 1
        row = i // NICS_ABREAST + (computing if nic.kind is NicKind.STORAGE else 0)
        x, y = box.x + PAD + i % NICS_ABREAST * cell, box.y + TITLE + row * (cell + 2)
        yield nic, Box(x, y, cell - 2, cell - 2)


def _with_lines(drawing: Drawing, wiring: Wiring) -> Drawing:
    boxes = {s.name: s for s in drawing.switches}
    trunks = _trunks(wiring)
    drawn = trunks if len(trunks) <= MOST_TRUNKS else ()
    lines = [_trunk(boxes[a], boxes[b]) for a, b in drawn]
    told = []
    if len(drawing.nics) <= FEW_NICS:
        lines += _cables(drawing, wiring)
    else:
        told.append("cables to NICs")
    if trunks != drawn:
        told.append(f"cables between {len(trunks)} pairs of switches")
    return replace(drawing, lines=tuple(lines), left_out=" and ".join(told))


def _trunk(a: DrawnSwitch, b: DrawnSwitch) -> Line:
    upper, lower = sorted((a.box, b.box), key=lambda box: box.y)
    bottom = upper.y + upper.height if upper.y != lower.y else upper.y
    return Line(upper.middle, bottom, lower.middle, lower.y, trunk=True)


def _cables(drawing: Drawing, wiring: Wiring) -> Iterator[Line]:
    boxes = {n.key: n.box for n in drawing.nics}
    for nic in drawing.nics:
        for number in nic.switches:
            s = drawing.switches[number]
            y = s.box.y + s.box.height if s.above else s.box.y
            end = nic.box.y if s.above else nic.box.y + nic.box.height
            yield Line(nic.box.middle, end, s.box.middle, y, trunk=False)
        for peer in wiring.attached[nic.key].direct:
            if nic.key < peer:
                yield Line(nic.box.middle, nic.box.y, boxes[peer].middle, boxes[peer].y, trunk=False)
