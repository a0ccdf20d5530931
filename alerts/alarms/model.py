"""Alarms and their changes as values; times are microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alerts.alarms.lifecycle import ACTIVE, Event, State
from analytics.episodes import ONGOING_US
from fleet.checks import Severity
from fleet.policies import Origin

#: Worst first; a smaller rank is more severe.
RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence that is over: from when to when, and its figures."""

    onset_us: int
    ended_us: int
    readings: int
    value: float
    limit: float
    part: int
    #: Where the limit comes from.
    origin: Origin = Origin.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm as the decisions see it."""

    #: None until the database has given it one.
    alarm_id: int | None
    meter_key: int
    check: str
    severity: Severity
    state: State
    #: Onset of the present, or last, occurrence; and of the first one.
    onset_us: int
    first_onset_us: int
    #: None while the condition holds.
    ended_us: int | None
    occurrences: int
    readings: int
    #: Worst value and its limit, NaN where the check has none; unit by `CheckSpec.unit`.
    value: float
    limit: float
    part: int
    #: Where the limit comes from.
    origin: Origin = Origin.NONE
    #: Who said that they know, and when; None once more where it became active or worse since.
    acknowledged_by: str | None = None
    acknowledged_us: int | None = None
    #: The occurrence before the present one, where the journal knows one.
    previous: Occurrence | None = None

    @property
    def active(self) -> bool:
        """Whether the condition holds."""
        return self.state in ACTIVE

    @property
    def is_open(self) -> bool:
        """Whether the alarm is on somebody's list."""
        return self.state is not State.CLOSED

    @property
    def until_us(self) -> int:
        """End of the last occurrence; ONGOING_US while it holds."""
        return ONGOING_US if self.ended_us is None else self.ended_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of one alarm: what happened, from which state, and the alarm after it."""

    event: Event
    before: State | None
    after: Alarm
    #: When it happened by the meter's clock (or, for a calendar check, when it was decided).
    event_us: int
    #: When the reading arrived that decided it, microseconds since 1970; None where none did.
    arrived_us: int | None = None
    #: Whether it changes what was known of a time that had been evaluated before.
    correction: bool = False
    #: End of the occurrence that a late batch showed before the present one.
    late_until_us: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """All changes of one alarm in one decision: from the state it had to what it is now."""

    expected: State | None
    changes: tuple[Change, ...]

    @property
    def after(self) -> Alarm:
        """The alarm after the last change."""
        return self.changes[-1].after


def fold(changes: Iterable[Change]) -> list[Fold]:
    """Gather changes by alarm, in the order in which the alarms first appear.

    A new alarm has no number yet; a decision opens at most one per meter and check, because
    only a person's acknowledgement can close it again.
    """
    groups: dict[tuple[int | None, int, str], list[Change]] = {}
    for change in changes:
        alarm = change.after
        groups.setdefault((alarm.alarm_id, alarm.meter_key, alarm.check), []).append(change)
    return [Fold(group[0].before, tuple(group)) for group in groups.values()]
