"""The controller of trafficd, and the client that an inference scheduler imports."""

__version__ = "0.1.0"
