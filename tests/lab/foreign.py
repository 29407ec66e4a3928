"""Trees that somebody else made with tc on the near port, and all that tc shows of it."""

from __future__ import annotations

import json
import re
import subprocess

from lab import veth

from trafficd_agent.drivers.tc import TcOptions

ALLOWED = TcOptions(take_over=True, allow_multi_queue=True)

TREES = {
    "tbf": ["qdisc add dev va root handle 1: tbf rate 50mbit burst 5kb limit 9kb"],
    "tbf with a peak rate and a queue below": [
        "qdisc add dev va root handle 1: tbf rate 50mbit burst 5kb limit 9kb peakrate 60mbit mtu 1600",
        "qdisc add dev va parent 1:1 handle 9: bfifo limit 77kb",
    ],
    "tbf above 32 bits of bytes": ["qdisc add dev va root handle 1: tbf rate 40gbit burst 5mb limit 9mb"],
    "a long fifo": ["qdisc add dev va root handle 5: bfifo limit 777kb"],
    "a fifo that drops at its head": ["qdisc add dev va root handle 5: pfifo_head_drop limit 7"],
    "pfifo_fast by hand": ["qdisc add dev va root handle 5: pfifo_fast"],
    "htb without anything": ["qdisc add dev va root handle 1: htb"],
    "htb with classes, queues and filters": [
        "qdisc add dev va root handle 1: htb default 30 r2q 20 direct_qlen 99",
        "class add dev va parent 1: classid 1:1 htb rate 100mbit ceil 100mbit",
        "class add dev va parent 1:1 classid 1:10 htb rate 30mbit ceil 90mbit prio 1 quantum 3000",
        "class add dev va parent 1:1 classid 1:30 htb rate 40gbit ceil 50gbit burst 9mb",
        "class add dev va parent 1:10 classid 1:100 htb rate 10mbit overhead 24 mpu 64",
        "class add dev va parent 1:10 classid 1:5 htb rate 20mbit",
        "class add dev va parent 1: classid 1:7 htb rate 1mbit",
        "qdisc add dev va parent 1:30 handle 30: pfifo limit 50",
        "qdisc add dev va parent 1:100 handle 4: tbf rate 5mbit burst 5kb limit 9kb",
        "qdisc add dev va parent 1:5 handle 50: htb default 2",
        "class add dev va parent 50: classid 50:2 htb rate 7mbit",
        "filter add dev va parent 1: protocol ip pref 3 u32 match ip dst 10.0.0.1/32 flowid 1:100",
        "filter add dev va parent 1: protocol ipv6 pref 1 u32 match ip6 priority 0xb8 0xfc flowid 1:30",
        "filter add dev va parent 1: protocol ip pref 3 u32 match ip tos 8 0xfc match ip sport 80 0xffff flowid 1:5",
        "filter add dev va parent 1:10 protocol all pref 9 u32 match u32 0 0 flowid 1:5",
        "filter add dev va parent 50: protocol ip pref 1 u32 match ip protocol 6 0xff flowid 50:2",
    ],
    "u32 tables": [
        "qdisc add dev va root handle 1: htb default 2",
        "class add dev va parent 1: classid 1:2 htb rate 10mbit",
        "filter add dev va parent 1: prio 5 handle 2: protocol ip u32 divisor 256",
        "filter add dev va parent 1: prio 5 handle 3: protocol ip u32 divisor 4",
        "filter add dev va parent 1: prio 5 protocol ip u32 ht 2:7b: match ip src 10.0.0.123 flowid 1:2",
        "filter add dev va parent 1: pref 5 protocol ip u32 ht 800:: match u32 0 0 link 2: hashkey mask 0xff at 12",
    ],
    "filters whose numbers have gaps": [
        "qdisc add dev va root handle 1: htb default 2",
        "class add dev va parent 1: classid 1:2 htb rate 10mbit",
        *(
            f"filter add dev va parent 1: protocol ip pref {p} u32 match ip tos {p} 0xfc flowid 1:2"
            for p in (9, 7, 8, 1, 3)
        ),
        "filter del dev va parent 1: pref 9",
        "filter del dev va parent 1: pref 8",
        "filter add dev va parent 1: protocol ip pref 2 u32 match ip tos 4 0xfc flowid 1:2",
        "filter del dev va parent 1: pref 1",
    ],
    "clsact beside the root": [
        "qdisc add dev va root handle 1: tbf rate 50mbit burst 5kb limit 9kb",
        "qdisc add dev va clsact",
        'filter add dev va egress protocol ip pref 1 bpf bytecode "1,6 0 0 4294967295," classid 1:1',
        "filter add dev va ingress protocol ip pref 1 u32 match u32 0 0 classid 1:1",
    ],
}


def build(commands: list[str]) -> None:
    subprocess.run(["tc", "-batch", "-"], input="\n".join(commands), text=True, check=True, timeout=30)


def parents() -> list[str]:
    """Everywhere a filter can hang, by the classes and queues there are."""
    found = [
        q
        for q in json.loads(veth.run("tc", "-j", "qdisc", "show", "dev", veth.NEAR))
        if "parent" in q or q.get("root")
    ]
    classes = re.findall(r"^class htb (\S+)", veth.run("tc", "class", "show", "dev", veth.NEAR), re.MULTILINE)
    return [q["handle"] for q in found if q["handle"] != "0:"] + classes


def shown() -> str:
    """All that tc can show of the port, filters of every place included, without what is counted."""
    text = "".join(veth.run("tc", "-d", sort, "show", "dev", veth.NEAR) for sort in ("qdisc", "class"))
    text = "".join(sorted(text.splitlines(keepends=True)))
    for place in sorted(parents()):
        text += f"{place}\n" + veth.run("tc", "-d", "filter", "show", "dev", veth.NEAR, "parent", place)
    for side in ("ingress", "egress"):
        text += veth.run("tc", "-d", "filter", "show", "dev", veth.NEAR, side, check=False)
    return re.sub(r"direct_packets_stat \d+|\(rule hit.*?\)", "", text)
