"""What can go wrong around the house: settings, embedded parts, child processes."""

from __future__ import annotations


class RuntimeFailure(Exception):  # noqa: N818 (an outcome for people, printed as one line)
    """Something the person at the command line has to see as one line."""


class WrongUsage(RuntimeFailure):
    """Options that do not fit together; the exit code is 2."""


class EmbeddedPartError(RuntimeFailure):
    """The embedded broker or database did not start."""
