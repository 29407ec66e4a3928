"""The node side: programs lanes, proves by read-back that they took, and reports."""
