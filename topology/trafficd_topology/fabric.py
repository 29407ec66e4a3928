"""The fabric as a networkx graph."""
