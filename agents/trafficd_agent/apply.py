"""Read, diff, write, verify, restore: pure over a driver."""
