"""Readers of /sys."""
