"""Whether the devices hold what the policy wants, what is under way, and who changed what."""

from dataclasses import replace

from parts import (
    BAD,
    COUNT,
    PERCENT,
    SECONDS,
    WARN,
    About,
    Column,
    Look,
    Page,
    Query,
    Row,
    grid,
    lines,
    nodes,
    number,
    sheet,
    with_steps,
)

AT = '{node=~"$node"}'
IN_SYNC = with_steps(replace(PERCENT, start=BAD), (0.9, WARN), (1, "green"))
YES = Look("bool_yes_no", ((1, "green"),), BAD, low=0, high=1)
ANY_IS_BAD = with_steps(COUNT, (1, BAD))
ANY_IS_NEWS = with_steps(COUNT, (1, WARN))
SCOPE = "{{node}} {{device}}{{fabric}}"


def quantile(level: str) -> Query:
    series = f"trafficd_qos_apply_duration_seconds_bucket{AT}"
    return Query(f"histogram_quantile({level}, sum by (le) ({series}))", f"p{float(level) * 100:g}")


PAGE = Page(
    "rollout",
    "trafficd-rollout",
    "trafficd / Rollout and drift",
    "Whether the devices hold what the policy wants, which change is under way, and who else changes them.",
    (nodes,),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Scopes in sync",
                        "Part of the ports and fabrics whose device holds what the policy wants, proven by reading back. In "
                        "observe mode: nothing differs.",
                    ),
                    IN_SYNC,
                    Query(f"avg(trafficd_qos_in_sync{AT})", "in sync"),
                    width=4,
                ),
                number(
                    About(
                        "Scopes not in sync",
                        "Ports and fabrics that do not hold what the policy wants; trafficd status says why.",
                    ),
                    ANY_IS_BAD,
                    Query(f"count(trafficd_qos_in_sync{AT} == 0) or vector(0)", "not in sync"),
                    width=4,
                ),
                number(
                    About(
                        "Scopes drifted",
                        "Ports and fabrics that somebody else changed and that are not repaired yet.",
                    ),
                    ANY_IS_BAD,
                    Query(f"sum(trafficd_scopes_drifted{AT})", "drifted"),
                    width=4,
                ),
                number(
                    About(
                        "Nodes",
                        "Nodes by the state of their agent's session. Disconnected nodes keep the lanes they have.",
                    ),
                    COUNT,
                    Query("sum by (state) (trafficd_nodes)", "{{state}}"),
                    width=6,
                ),
                number(
                    About("Generation", "The newest desired state; every change of any node raises it."),
                    COUNT,
                    Query("max(trafficd_generation)", "generation"),
                    width=3,
                ),
                number(
                    About("Epoch", "Rises when a controller recovers or changes."),
                    COUNT,
                    Query("max(trafficd_epoch)", "epoch"),
                    width=3,
                ),
            ),
        ),
        Row(
            "Change",
            (
                grid(
                    About(
                        "Rollout",
                        "The phase that a rollout is in; no phase while none is under way. Halted waits for the operator: "
                        "trafficd rollout status says why.",
                    ),
                    Look("bool_yes_no", ((1, "blue"),), "transparent", low=0, high=1),
                    Query("max by (phase) (trafficd_rollout_phase)", "{{phase}}"),
                    height=5,
                ),
                lines(
                    About(
                        "Generations in force",
                        "Newest generation, and the oldest and the newest that a scope has observed. Far apart for long: "
                        "somebody does not get the change.",
                    ),
                    COUNT,
                    Query("max(trafficd_generation)", "newest"),
                    Query(f"min(trafficd_policy_generation{AT})", "oldest on a scope"),
                    Query(f"max(trafficd_policy_generation{AT})", "newest on a scope"),
                    width=8,
                ),
                lines(
                    About(
                        "Scopes that wait",
                        "Waiting: for leave to disrupt traffic. Latched: not tried again until a new generation or trafficd "
                        "retry. Paused: the agent was told to write nothing.",
                    ),
                    ANY_IS_NEWS,
                    Query(f"sum(trafficd_qos_waiting{AT})", "waiting"),
                    Query(f"sum(trafficd_qos_latched{AT})", "latched"),
                    Query("sum(trafficd_scopes_paused)", "paused"),
                    width=8,
                ),
                lines(
                    About(
                        "What holds the controller back",
                        "1 where it applies. Withheld: nothing is sent to agents. Gap: generations that agents are ahead of "
                        "the state file. Save: the state file cannot be written. File: a policy or fabric file's newest "
                        "content is refused. Paused: by an operator.",
                    ),
                    ANY_IS_BAD,
                    Query("max(trafficd_programming_withheld)", "withheld"),
                    Query("max(trafficd_generation_gap)", "gap"),
                    Query("max(trafficd_state_save_failed)", "save"),
                    Query("max(trafficd_config_load_error) or vector(0)", "file"),
                    Query("max(trafficd_paused)", "paused"),
                    width=8,
                ),
                sheet(
                    About("Policies in force", "Every policy, who owns it and whether it may write."),
                    Look("none"),
                    (
                        Column("policy", "Policy"),
                        Column("owner", "Owner"),
                        Column("mode", "Mode"),
                        Column("digest", "Digest"),
                        Column("Value", "In force"),
                    ),
                    Query("max by (policy, owner, mode, digest) (trafficd_policy_info)", "{{policy}}"),
                ),
                lines(
                    About(
                        "Apply to verified",
                        "From reception of a desired state to the end of its verification by read-back, since the agents "
                        "started.",
                    ),
                    with_steps(SECONDS, (1, WARN)),
                    quantile("0.5"),
                    quantile("0.99"),
                ),
            ),
        ),
        Row(
            "Devices",
            (
                grid(
                    About(
                        "Nodes in sync",
                        "1 when every planned scope of the node is ready on the newest generation.",
                    ),
                    YES,
                    Query(f"max by (node) (trafficd_node_in_sync{AT})", "{{node}}"),
                ),
                grid(
                    About(
                        "Scopes in sync over time",
                        "1 when the device holds what the policy wants, by port or fabric.",
                    ),
                    YES,
                    Query(f"max by (node, device, port, fabric) (trafficd_qos_in_sync{AT})", SCOPE),
                ),
                lines(
                    About("Differences", "Fields of a scope that are not as the policy wants them."),
                    ANY_IS_NEWS,
                    Query(f"trafficd_qos_differences{AT}", SCOPE),
                ),
                lines(
                    About(
                        "Somebody else's objects",
                        "Things on a port that an apply would have to displace. The port is left alone until take_over.",
                    ),
                    ANY_IS_NEWS,
                    Query(f"trafficd_qos_foreign_objects{AT}", SCOPE),
                ),
            ),
        ),
        Row(
            "Drift",
            (
                lines(
                    About(
                        "Drifts and repairs",
                        "Changes of a device that nobody asked for, and those that its agent put right by itself. Drifts "
                        "without repairs wait for somebody.",
                    ),
                    ANY_IS_NEWS,
                    Query(
                        f"sum by (node) (increase(trafficd_drifts_total{AT}[$__rate_interval]))",
                        "{{node}} drifts",
                    ),
                    Query(
                        f"sum by (node) (increase(trafficd_repairs_total{AT}[$__rate_interval]))",
                        "{{node}} repairs",
                    ),
                ),
                sheet(
                    About("Drifts by cause", "Drifts since the agent started, by what changed the device."),
                    with_steps(COUNT, (1, WARN), (5, BAD)),
                    (
                        Column("node", "Node"),
                        Column("device", "Device"),
                        Column("fabric", "Fabric"),
                        Column("cause", "Cause"),
                        Column("Value", "Drifts"),
                    ),
                    Query(
                        f"sum by (node, device, fabric, cause) (trafficd_qos_drift_total{AT})", "{{cause}}"
                    ),
                ),
            ),
        ),
        Row(
            "Agents",
            (
                lines(
                    About(
                        "Agents without a controller",
                        "1 while the agent's streams to its controller are closed. Its lanes stay as they are.",
                    ),
                    ANY_IS_BAD,
                    Query(f"1 - trafficd_agent_controller_connected{AT}", "{{node}}"),
                    width=8,
                ),
                lines(
                    About(
                        "Versions",
                        "Agents by version. More than one for long is a rollout of agents that stopped.",
                    ),
                    COUNT,
                    Query(f"count by (version) (trafficd_agent_info{AT})", "{{version}}"),
                    width=8,
                ),
                lines(
                    About(
                        "Overall conditions",
                        "1 for the status that each condition of all scopes together has now.",
                    ),
                    COUNT,
                    Query("max by (type, status) (trafficd_overall_condition) == 1", "{{type}} {{status}}"),
                    width=8,
                ),
            ),
        ),
    ),
)
