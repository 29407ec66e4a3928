"""Kernel netlink, through pyroute2: the only place that imports it beside the tc driver."""
