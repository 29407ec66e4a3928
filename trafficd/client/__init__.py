"""What an inference scheduler imports: grpcio and protobuf, nothing else."""
