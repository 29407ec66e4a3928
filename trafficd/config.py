"""Settings of the controller."""
