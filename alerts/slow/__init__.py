"""The engine's daily pass of the slow checks, over stored roll-ups."""
