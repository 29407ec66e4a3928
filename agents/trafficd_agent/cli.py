"""The trafficd-agent command."""
