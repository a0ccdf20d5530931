"""Slow checks: what only days and weeks of a meter's use can tell, judged on roll-ups."""
