"""Wiring and the loops of the controller."""
