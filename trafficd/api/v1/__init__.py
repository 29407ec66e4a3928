"""Generated messages and stubs, nothing else."""
