"""Messages <-> domain types, for the controller."""
