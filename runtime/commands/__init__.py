"""Bodies of the commands, one module each."""
