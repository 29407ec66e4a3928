"""A small certificate authority: for labs, and for nodes that enrol. The only user of ``cryptography`` here."""
