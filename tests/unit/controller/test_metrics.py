"""What the controller exports, as a page of text."""

from prometheus_client import generate_latest

from trafficd.choice.request import FallbackReason
from trafficd.core.balance import IDLE, Balance
from trafficd.core.snapshot import RoleUse
from trafficd.core.state import ControlState, FabricSource, Gap, NodeState, Refusal, Rejected
from trafficd.metrics import KindBalance, Reads, View, controller_metrics
from trafficd_topology.model import FabricSpec, Host, NicKind, NodeInventory, Problem, Role
from trafficd_topology.status import Generation

INVENTORY = NodeInventory("n")
STATE = ControlState(
    "uuid",
    Generation(2, 7),
    fabric=FabricSource(
        "", "", FabricSpec("lab", (Host("p1", Role.PREFILL), Host("st1", Role.STORAGE, pool="kv")))
    ),
    nodes={
        "a": NodeState("a", 1, INVENTORY),
        "b": NodeState("b", None, INVENTORY),
    },
    refusals=(Refusal("c", "why", 0.0), Refusal("c", "why else", 0.0)),
    rejected=(Rejected("policy.yaml", (Problem("", "", "bad"),)),),
    gap=Gap("a", Generation(2, 9), Generation(2, 7)),
    trouble="no room",
)
PAGE = """\
trafficd_generation 7.0
trafficd_epoch 2.0
trafficd_programming_withheld 1.0
trafficd_generation_gap 2.0
trafficd_state_save_failed 1.0
trafficd_paused 0.0
trafficd_scopes_paused 0.0
trafficd_rollout_phase{phase="verifying"} 0.0
trafficd_rollout_phase{phase="soaking"} 0.0
trafficd_rollout_phase{phase="halted"} 0.0
trafficd_nodes{state="connected"} 1.0
trafficd_nodes{state="disconnected"} 1.0
trafficd_nodes{state="refused"} 1.0
trafficd_scopes_drifted{node="a"} 0.0
trafficd_scopes_drifted{node="b"} 0.0
trafficd_drifts_total{node="a"} 0.0
trafficd_drifts_total{node="b"} 0.0
trafficd_repairs_total{node="a"} 0.0
trafficd_repairs_total{node="b"} 0.0
trafficd_nic_imbalance_ratio{kind="storage"} 1.5
trafficd_nic_balance_jain_ratio{kind="storage"} 0.8
trafficd_node_info{node="p1",pool="",role="prefill"} 1.0
trafficd_node_info{node="st1",pool="kv",role="storage"} 1.0
trafficd_role_nic_load_bytes_per_second{kind="storage",role="prefill"} 200.0
trafficd_role_nic_load_bytes_per_second{kind="storage",role="decode"} 0.0
trafficd_role_nic_imbalance_ratio{kind="storage",role="prefill"} 1.5
trafficd_role_nic_balance_jain_ratio{kind="storage",role="prefill"} 0.8
trafficd_reads_ended_total 4.0
trafficd_reads_predicted_seconds_total 2.0
trafficd_reads_observed_seconds_total 2.5
trafficd_leases 3.0
trafficd_reserved_bytes 1000.0
trafficd_nics_slowed 1.0
trafficd_config_load_error{file="policy.yaml"} 1.0
trafficd_config_load_error{file="fabric.yaml"} 0.0
trafficd_agent_last_report_timestamp_seconds{node="a"} 12.5
trafficd_recommendation_requests_total{result="ok"} 1.0
trafficd_recommendation_requests_total{result="fallback"} 1.0
trafficd_recommendation_duration_seconds_count 2.0
trafficd_recommendation_duration_seconds_sum 0.75
trafficd_recommendation_data_age_seconds_count 1.0
trafficd_recommendation_data_age_seconds_sum 2.0
trafficd_recommendation_fallbacks_total{reason="no_telemetry"} 0.0
trafficd_recommendation_fallbacks_total{reason="stale_telemetry"} 1.0
trafficd_recommendation_fallbacks_total{reason="no_queue"} 0.0
"""


def test_page() -> None:
    balances = (KindBalance(NicKind.STORAGE, Balance(1.5, 0.8)), KindBalance(NicKind.COMPUTE, IDLE))
    uses = (
        RoleUse(NicKind.STORAGE, Role.PREFILL, 200.0, Balance(1.5, 0.8)),
        RoleUse(NicKind.STORAGE, Role.DECODE, 0.0, IDLE),
    )
    reads = Reads(4, 2.0, 2.5, 3, 1000, 1)
    view = View(STATE, balances, (("a", 12.5),), ("policy.yaml", "fabric.yaml"), roles=uses, reads=reads)
    metrics = controller_metrics(lambda: view)
    metrics.answers.answered("ok", 0.25, 2.0)
    metrics.answers.answered("fallback", 0.5, None)
    metrics.answers.fell_back(FallbackReason.STALE_TELEMETRY)
    skipped = ("_bucket{", "_created", "trafficd_overall_condition{")
    text = generate_latest(metrics.registry).decode()
    lines = [x for x in text.splitlines() if x.startswith("trafficd_") and not any(s in x for s in skipped)]
    assert "\n".join(lines) + "\n" == PAGE
