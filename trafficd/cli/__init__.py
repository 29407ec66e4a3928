"""The trafficd command."""
