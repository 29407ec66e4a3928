"""Who took over a subnet is named by both ports."""

from dataclasses import replace

from trafficd_agent.drivers.opensm.cause import Glance, why
from trafficd_agent.drivers.opensm.manager import Manager
from trafficd_agent.drivers.opensm.process import Process

BEFORE = Glance(Process(7, 100, "S", "/etc/opensm/opensm.conf", ""), Manager(0x10, 0x10, 5, None), ())


def test_another_master_is_named() -> None:
    assert why(BEFORE, BEFORE) == ""
    after = replace(BEFORE, manager=replace(BEFORE.manager, master_guid=0x20))
    assert why(BEFORE, after) == (
        "another subnet manager is master: port 0x0000000000000020, before 0x0000000000000010"
    )
    restarted = replace(after, process=replace(BEFORE.process, pid=8, start=200))
    assert why(BEFORE, restarted) == "OpenSM was restarted (pid 7, now 8)"
