"""How good are the checks? A simulated fleet whose faults are known, and what the checks make of it."""
