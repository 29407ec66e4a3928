"""Plug-ins that program one sort of device each; the list is in registry."""
