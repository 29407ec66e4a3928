"""Per-priority statistics of Ethernet NICs."""
