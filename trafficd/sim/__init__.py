"""The simulator: fluid flows over the fabric's own graph, in simulated time, driving the same choice code."""
