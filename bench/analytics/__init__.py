"""How fast the checks are, beside others who run the same five on the same readings."""
