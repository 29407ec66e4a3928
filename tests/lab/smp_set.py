"""Overwrites one port's table behind the subnet manager's back: ``smp_set.py LID ATTRIBUTE MODIFIER HEX``."""

import ctypes
import sys

from trafficd_agent.drivers.opensm.mad import DATA_BYTES, MadPort, PortId, Target, port_id


class WritingPort(MadPort):
    """The agent only ever reads; this one sets."""

    def set(self, lid: int, attribute: int, modifier: int, data: bytes) -> bool:
        call = self._lib.smp_set_via
        call.restype = ctypes.c_void_p
        number = ctypes.c_uint
        call.argtypes = (ctypes.c_void_p, ctypes.POINTER(PortId), number, number, number, ctypes.c_void_p)
        buffer = ctypes.create_string_buffer(data.ljust(DATA_BYTES, b"\0"), DATA_BYTES)
        return bool(call(buffer, ctypes.byref(port_id(Target(lid=lid))), attribute, modifier, 0, self._port))


def main() -> int:
    lid, attribute, modifier = (int(a, 0) for a in sys.argv[1:4])
    port = WritingPort()
    done = port.set(lid, attribute, modifier, bytes.fromhex(sys.argv[4]))
    port.close()
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
