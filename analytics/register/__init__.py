"""Whether the register runs as it should."""
