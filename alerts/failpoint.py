"""Where a test may let a step fail; in service nothing happens there."""

from __future__ import annotations

from collections.abc import Callable

#: Called with the name of each step that was reached; a test raises there.
Failpoint = Callable[[str], None]


def go_on(_step: str) -> None:
    """Do nothing."""
