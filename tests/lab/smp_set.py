"""Overwrites one port's table behind the subnet manager's back: ``smp_set.py LID ATTRIBUTE MODIFIER HEX``."""

import sys

from trafficd_agent.drivers.opensm import mad
from trafficd_agent.drivers.opensm.umad import UmadPort

SET = 0x02
METHOD_AT = mad.HEADER_BYTES + 3


class WritingPort(UmadPort):
    """The agent only ever reads; this one sets."""

    def _ends(self, query: mad.Query) -> tuple[bytes, bytes]:
        head, _ = super()._ends(query)
        start, size = mad.DATA_AT[query.management]
        return head[:METHOD_AT] + bytes([SET]) + head[METHOD_AT + 1 :], b"\0" * (
            start - 24
        ) + query.data.ljust(size, b"\0")

    def set(self, lid: int, attribute: int, modifier: int, data: bytes) -> bool:
        query = mad.Query(mad.Target(lid=lid), attribute, modifier, mad.Management.SMP, data)
        return isinstance(self.ask([query])[0], bytes)


def main() -> int:
    lid, attribute, modifier = (int(a, 0) for a in sys.argv[1:4])
    port = WritingPort()
    done = port.set(lid, attribute, modifier, bytes.fromhex(sys.argv[4]))
    port.close()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
