"""The gRPC streams to the controller."""
