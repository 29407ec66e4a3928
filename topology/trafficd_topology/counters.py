"""Rates; wraps and resets, handled once."""
