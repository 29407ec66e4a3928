"""DCB netlink messages, as pyroute2 describes messages: ``dcbmsg`` and its nested attributes.

Source: include/uapi/linux/dcbnl.h, net/dcb/dcbnl.c. Everything is host-endian. Written to be offered to pyroute2, which
knows the numbers of RTM_GETDCB, RTM_SETDCB and RTNLGRP_DCB and none of the messages (0.9.7): nothing here imports the rest
of this package.
"""

from __future__ import annotations

from pyroute2.netlink import NLA_F_NESTED, nla, nlmsg
from pyroute2.netlink.rtnl import RTM_GETDCB, RTM_SETDCB

DCB_CMD_IEEE_SET = 20
DCB_CMD_IEEE_GET = 21
DCB_CMD_GDCBX = 22
DCB_CMD_SDCBX = 23
DCB_CMD_IEEE_DEL = 27

IEEE_8021QAZ_APP_SEL_ETHERTYPE = 1
IEEE_8021QAZ_APP_SEL_STREAM = 2
IEEE_8021QAZ_APP_SEL_DGRAM = 3
IEEE_8021QAZ_APP_SEL_ANY = 4
IEEE_8021QAZ_APP_SEL_DSCP = 5
DCB_APP_SEL_PCP = 255

DCB_CAP_DCBX_HOST = 0x01
DCB_CAP_DCBX_LLD_MANAGED = 0x02
DCB_CAP_DCBX_VER_CEE = 0x04
DCB_CAP_DCBX_VER_IEEE = 0x08
DCB_CAP_DCBX_STATIC = 0x10

RTMGRP_DCB = 1 << 22
"""RTNLGRP_DCB (23) as a bit of the groups that a socket is bound to."""


class ieee_ets(nla):  # type: ignore[misc] # noqa: N801 - pyroute2 has no types, and names classes as the kernel does
    """struct ieee_ets, 59 bytes."""

    fields = (
        ("willing", "B"),
        ("ets_cap", "B"),
        ("cbs", "B"),
        ("tc_tx_bw", "8B"),
        ("tc_rx_bw", "8B"),
        ("tc_tsa", "8B"),
        ("prio_tc", "8B"),
        ("tc_reco_bw", "8B"),
        ("tc_reco_tsa", "8B"),
        ("reco_prio_tc", "8B"),
    )


class ieee_maxrate(nla):  # type: ignore[misc] # noqa: N801
    """struct ieee_maxrate, 64 bytes: kilobits per second."""

    fields = (("tc_maxrate", "8Q"),)


class ieee_pfc(nla):  # type: ignore[misc] # noqa: N801
    """struct ieee_pfc, 136 bytes with the compiler's padding."""

    fields = (
        ("pfc_cap", "B"),
        ("pfc_en", "B"),
        ("mbc", "B"),
        ("pad0", "B"),
        ("delay", "H"),
        ("pad1", "H"),
        ("requests", "8Q"),
        ("indications", "8Q"),
    )


class dcb_app(nla):  # type: ignore[misc] # noqa: N801
    """struct dcb_app, 4 bytes."""

    fields = (("selector", "B"), ("priority", "B"), ("protocol", "H"))


class dcbnl_buffer(nla):  # type: ignore[misc] # noqa: N801
    """struct dcbnl_buffer, 44 bytes."""

    fields = (("prio2buffer", "8B"), ("buffer_size", "8I"), ("total_size", "I"))


class app_table(nla):  # type: ignore[misc] # noqa: N801
    """Entries one after the other; those of the PCP selector are of the second kind (from Linux 6.2)."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        ("DCB_ATTR_IEEE_APP_UNSPEC", "none"),
        ("DCB_ATTR_IEEE_APP", "dcb_app"),
        ("DCB_ATTR_DCB_APP", "dcb_app"),
    )
    dcb_app = dcb_app


class trust_table(nla):  # type: ignore[misc] # noqa: N801
    """Selectors, the first that fits counts (from Linux 6.2)."""

    nla_flags = NLA_F_NESTED
    nla_map = (("DCB_ATTR_IEEE_APP_TRUST_UNSPEC", "none"), ("DCB_ATTR_IEEE_APP_TRUST", "uint8"))


class ieee(nla):  # type: ignore[misc] # noqa: N801
    """DCB_ATTR_IEEE of a question, an order or a notification."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        ("DCB_ATTR_IEEE_UNSPEC", "none"),
        ("DCB_ATTR_IEEE_ETS", "ieee_ets"),
        ("DCB_ATTR_IEEE_PFC", "ieee_pfc"),
        ("DCB_ATTR_IEEE_APP_TABLE", "app_table"),
        ("DCB_ATTR_IEEE_PEER_ETS", "ieee_ets"),
        ("DCB_ATTR_IEEE_PEER_PFC", "ieee_pfc"),
        ("DCB_ATTR_IEEE_PEER_APP", "app_table"),
        ("DCB_ATTR_IEEE_MAXRATE", "ieee_maxrate"),
        ("DCB_ATTR_IEEE_QCN", "hex"),
        ("DCB_ATTR_IEEE_QCN_STATS", "hex"),
        ("DCB_ATTR_DCB_BUFFER", "dcbnl_buffer"),
        ("DCB_ATTR_DCB_APP_TRUST_TABLE", "trust_table"),
        ("DCB_ATTR_DCB_REWR_TABLE", "app_table"),
    )
    ieee_ets = ieee_ets
    ieee_pfc = ieee_pfc
    ieee_maxrate = ieee_maxrate
    dcbnl_buffer = dcbnl_buffer
    app_table = app_table
    trust_table = trust_table


class dcbmsg(nlmsg):  # type: ignore[misc] # noqa: N801
    """RTM_GETDCB, RTM_SETDCB: struct dcbmsg and the attributes of the IEEE commands.

    The answer to DCB_CMD_IEEE_SET and _DEL has in the place of the nest one byte, the error with its sign; a nest is
    longer than that.
    """

    prefix = "DCB_ATTR_"
    fields = (("family", "B"), ("cmd", "B"), ("pad", "H"))
    nla_map = (
        ("DCB_ATTR_UNDEFINED", "none"),
        ("DCB_ATTR_IFNAME", "asciiz"),
        ("DCB_ATTR_STATE", "uint8"),
        ("DCB_ATTR_PFC_STATE", "uint8"),
        ("DCB_ATTR_PFC_CFG", "hex"),
        ("DCB_ATTR_NUM_TC", "hex"),
        ("DCB_ATTR_PG_CFG", "hex"),
        ("DCB_ATTR_SET_ALL", "uint8"),
        ("DCB_ATTR_PERM_HWADDR", "hex"),
        ("DCB_ATTR_CAP", "hex"),
        ("DCB_ATTR_NUMTCS", "hex"),
        ("DCB_ATTR_BCN", "hex"),
        ("DCB_ATTR_APP", "hex"),
        ("DCB_ATTR_IEEE", "body"),
        ("DCB_ATTR_DCBX", "uint8"),
        ("DCB_ATTR_FEATCFG", "hex"),
        ("DCB_ATTR_CEE", "hex"),
    )
    ieee = ieee

    @staticmethod
    def body(_: nlmsg, **more: object) -> type[nla]:
        """A nest, or the byte of an answer."""
        data, offset = more.get("data"), more.get("offset")
        if isinstance(data, bytes | bytearray | memoryview) and isinstance(offset, int):
            length = int.from_bytes(bytes(data[offset : offset + 2]), "little")
            answer: type[nla] = nlmsg.int8 if length == NLA_HEADER + 1 else ieee
            return answer
        return ieee


NLA_HEADER = 4
MESSAGES: dict[int, type[nlmsg]] = {RTM_GETDCB: dcbmsg, RTM_SETDCB: dcbmsg}
