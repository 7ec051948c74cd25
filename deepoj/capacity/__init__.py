"""How much waits, which nodes are there to judge it, and whether more is taken."""
