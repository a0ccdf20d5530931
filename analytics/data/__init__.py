"""Whether the data themselves can be believed, and whether they come."""
