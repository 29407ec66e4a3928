"""Every captured file of real machines is judged, or named with a reason; defects that are known are found."""

import pytest
from trees import CAPTURED

from trafficd.cli.saved import sources
from trafficd_topology.audit import Severity, audit
from trafficd_topology.audit.facts import merged

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CAPTURED.is_dir(), reason=f"no captured files at {CAPTURED}"),
]

DEFECTS = (
    # what the captures' own notes say is wrong, where a reader exists: (rule, where it ends)
    ("port-waits-for-sm", "gcm-a100-stuck_ib_intf/mlx5_6"),
    ("port-waits-for-sm", "gcm-a100-stuck_ib_intf/mlx5_8"),
    ("port-down", "ibstat.47.0.h100.some.down.txt/mlx5_2"),
    ("port-down", "ibstat.47.0.h100.some.down.txt/mlx5_7"),
    ("port-down", "ibstat.47.0.h100.some.down.txt/mlx5_8"),
    ("port-down", "cvs-rdma-link-2.txt/rdma1"),
    ("receive-errors", "mlx4-connectx2-ens5.txt/ens5"),
    ("opensm-qos-off", "qnib-opensm.conf: qos"),
)
HEALTHY = (
    "gcm-a100-good",
    "ibstat.47.0.a100.all.active.txt",
    "ibstatus.39.0.a100.all.active.txt",
    "pollara-rdma_link.txt",
)


def test_every_file_has_an_answer() -> None:
    found = tuple(sources([str(CAPTURED)]))
    trees = [s.name for s in found if s.judged.kind == "sysfs tree"]
    alone = {
        str(p) for p in CAPTURED.rglob("*") if p.is_file() and not any(p.is_relative_to(t) for t in trees)
    }
    assert {s.name for s in found if s.name not in trees} == alone
    assert [s.name for s in found if s.judged.facts is None and not s.judged.reason] == []
    assert len(trees) >= 3


def test_known_defects_are_found_and_healthy_machines_are_quiet() -> None:
    found = tuple(sources([str(CAPTURED)]))
    findings = audit(merged(*(s.judged.facts for s in found if s.judged.facts)))
    for rule, where in DEFECTS:
        assert any(f.rule == rule and f.where.endswith(where) for f in findings), (rule, where)
    loud = [f for f in findings if f.severity is not Severity.INFO and any(h in f.where for h in HEALTHY)]
    assert loud == []
