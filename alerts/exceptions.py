"""What can go wrong between a finding and an alarm."""

from __future__ import annotations


class AlertsError(Exception):
    """An alarm or a task cannot be brought where it should go."""


class UnknownTransitionError(AlertsError):
    """The transition table has no row for this state and event."""

    def __init__(self, table: str, state: str | None, event: str) -> None:
        super().__init__(f"{table}: nothing is written for {event!r} in state {state or '(none)'!r}")
        self.state = state
        self.event = event


class StaleDecisionError(AlertsError):
    """An alarm changed between the decision and its writing; the same work can be tried again."""
