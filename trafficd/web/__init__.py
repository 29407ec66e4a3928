"""HTTP: metrics, health."""
