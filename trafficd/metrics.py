"""The controller's Prometheus series."""
