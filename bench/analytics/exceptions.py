"""The bench's one error."""

from __future__ import annotations


class BenchError(Exception):
    """Something could not be measured, or did not do what the others do."""
