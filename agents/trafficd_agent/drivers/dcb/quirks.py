"""Where kernel drivers of NICs differ, as data with the source of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirks:
    """``trust_from_apps``: DSCP is trusted while the APP table has a DSCP entry, else PCP, and nothing else sets it.
    ``cable``: the PFC attribute's ``delay`` is the cable's length in metres. ``settle_s``: how long the link takes at most
    to begin its flap after the PFC set changed; 0: it does not flap. ``release``: the DCBX mode that gives DCB back to
    firmware. ``firmware``: how an operator ends a firmware agent that owns DCBX.
    """

    trust_from_apps: bool = False
    cable: bool = False
    settle_s: float = 0.0
    release: int = 0
    firmware: str = "switch the NIC's LLDP agent off in its firmware settings"


ANY = Quirks()
QUIRKS: dict[str, Quirks] = {
    # drivers/net/ethernet/mellanox/mlx5/core/en_dcbnl.c: mlx5e_dcbnl_ieee_setapp and _delapp switch trust;
    # mlx5e_dcbnl_ieee_setpfc calls mlx5_toggle_port_link and takes delay as cable_len; mlx5e_dcbnl_setdcbx(0)
    # returns to MLX5E_DCBX_PARAM_VER_OPER_AUTO.
    "mlx5_core": Quirks(
        trust_from_apps=True, cable=True, settle_s=1.0, firmware="set LLDP_NB_DCBX_P1 to 0 with mlxconfig"
    ),
    # drivers/net/ethernet/intel/ice/ice_dcb_nl.c: every set is EINVAL while DCB_CAP_DCBX_LLD_MANAGED;
    # ice_ethtool.c: private flag fw-lldp-agent.
    "ice": Quirks(firmware="run ethtool --set-priv-flags {port} fw-lldp-agent off"),
    # drivers/net/ethernet/intel/i40e/i40e_dcb_nl.c and i40e_ethtool.c: private flag disable-fw-lldp.
    "i40e": Quirks(firmware="run ethtool --set-priv-flags {port} disable-fw-lldp on"),
    # drivers/net/ethernet/broadcom/bnxt/bnxt_dcb.c: bnxt_dcbnl_setdcbx takes IEEE only, and LLD_MANAGED only as it stands;
    # the agent is an NVM option of the port.
    "bnxt_en": Quirks(firmware="disable the port's DCBX mode in its NVM options"),
}


def quirks(kernel_driver: str) -> Quirks:
    return QUIRKS.get(kernel_driver, ANY)
