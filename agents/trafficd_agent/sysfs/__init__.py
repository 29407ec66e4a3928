"""Readers of /sys: counters of RDMA ports and network interfaces, and what hardware there is.

Every reader takes the machine's root directory (``/``, or a copy of another machine's tree) and changes nothing.
"""
