"""How fast the engine is, on a database with the carried state of a province."""
