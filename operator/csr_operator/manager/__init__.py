"""One process of the operator: what starts, watches and ends."""
