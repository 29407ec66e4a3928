"""The agent's Prometheus series."""
