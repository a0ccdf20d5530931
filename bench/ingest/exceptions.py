"""What can go wrong while measuring."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement could not be made, or what was measured is wrong; the message says which."""
