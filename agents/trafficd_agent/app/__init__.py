"""Wiring and the loops of the agent."""
