"""What a command says beside its output: lines on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

#: More lines than this of one kind are counted, not printed.
_MOST_LINES = 20


def say_some(lines: Sequence[str]) -> None:
    """Say lines of one kind, each by itself; of many only the first and how many more there are."""
    for line in lines[:_MOST_LINES]:
        say(line)
    if len(lines) > _MOST_LINES:
        say(f"... and {len(lines) - _MOST_LINES} more like these")


def say(sentence: str) -> None:
    """Say one line."""
    sys.stderr.write(sentence + "\n")
