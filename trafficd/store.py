"""State in one local SQLite file."""
