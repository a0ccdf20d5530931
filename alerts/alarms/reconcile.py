"""Reconciliation: what the checks found against the alarms there are; pure and level-triggered.

The rule of identity: an episode that overlaps the time from an alarm's first onset to its end,
half-open, is what that alarm already stands for. So the same findings, seen again after a crash
or a re-evaluation, change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from alerts.alarms.findings import Found, Key, group_episodes
from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.alarms.model import RANK, Alarm, Change
from analytics.episodes import Episodes
from fleet.checks import Severity
from fleet.times import to_datetime, to_us

CORRECTION = "correction: the readings as they are now do not show it"
#: A time follows, RFC 3339.
LATE_UNTIL = "late readings: it was so until "
ONSET_CORRECTED = "correction: the readings as they are now show another onset"


@dataclass(frozen=True, slots=True)
class Scope:
    """For what the absence of an episode is a statement.

    Readings evaluated in order only speak of what they touch, so their scope is empty. A whole
    history, or the calendar checks, speak of everything: what they do not show is not so.
    """

    meters: frozenset[int] = frozenset()
    checks: frozenset[str] = frozenset()
    #: True: not shown means that it never was (a history); False: that it is over by now.
    history: bool = False
    #: Checks of which a history shows every occurrence that is over, if not what goes on now.
    refutable: frozenset[str] = frozenset()
    #: Meter number -> where its history begins, microseconds since 1970; before, nothing is refuted.
    since_us: Mapping[int, int] = field(default_factory=dict)

    def covers(self, key: Key) -> bool:
        """Tell whether absence means something for this meter and check."""
        return key[0] in self.meters and key[1] in self.checks

    def refutes_from(self, key: Key) -> int | None:
        """Give the moment from which on alarms that no episode supports never were; None for never."""
        known = key[0] in self.meters and key[1] in self.refutable
        return self.since_us.get(key[0]) if known else None


def reconcile(
    episodes: Episodes, alarms: Iterable[Alarm], decided_at: datetime, scope: Scope | None = None
) -> list[Change]:
    """Decide what has to change so that the alarms say what the episodes say.

    Parameters
    ----------
    episodes
        What an evaluation found, in any order.
    alarms
        Open alarms of the meters concerned, and closed ones that ended after the earliest episode.
    decided_at
        The time of the decision; end of a condition that a calendar check no longer shows.
    scope
        For which meters and checks a missing episode means that there is no condition.
    """
    scope = scope or Scope()
    found = group_episodes(episodes)
    known: dict[Key, list[Alarm]] = {}
    for alarm in alarms:
        known.setdefault((alarm.meter_key, alarm.check), []).append(alarm)
    unshown = {
        key
        for key in known
        if key not in found and (scope.covers(key) or scope.refutes_from(key) is not None)
    }
    decided_us = to_us(decided_at)
    changes: list[Change] = []
    for key in sorted(found.keys() | unshown):
        case = _Case(key, known.get(key, ()), scope if scope.covers(key) else None)
        for item in found.get(key, ()):
            case.take(item)
        case.withdraw(found.get(key, ()), scope.refutes_from(key))
        case.finish(decided_us)
        changes += case.changes
    return changes


class _Case:
    """The alarms of one meter and check, as they change while its episodes are gone through."""

    def __init__(self, key: Key, alarms: Sequence[Alarm], scope: Scope | None) -> None:
        self._key = key
        self._closed = [alarm for alarm in alarms if not alarm.is_open]
        self._open = next((alarm for alarm in alarms if alarm.is_open), None)
        self._scope = scope
        self._shown = False
        self.changes: list[Change] = []

    def take(self, found: Found) -> None:
        """Settle one episode; they come in the order of their onsets."""
        alarm = self._open
        self._shown = self._shown or found.ongoing
        if alarm is not None and alarm.active and found.end_us > alarm.onset_us:
            self._go_on(alarm, found)
        elif not found.ongoing and self._stands_for(found):
            return
        elif alarm is None:
            self._raise(found)
        elif found.ongoing or (not alarm.active and found.start_us >= alarm.until_us):
            self._reactivate(alarm, found)
        else:
            first = min(alarm.first_onset_us, found.start_us)
            late = replace(alarm, first_onset_us=first, occurrences=alarm.occurrences + 1)
            self._change(alarm, Event.RECUR_LATE, late, found.start_us, _late_note(found))

    def withdraw(self, found: Sequence[Found], from_us: int | None) -> None:
        """Withdraw an unacknowledged alarm that no episode of a history supports."""
        alarm = self._open
        if alarm is None or from_us is None or alarm.first_onset_us < from_us:
            return
        # Of what goes on now not every history knows; and what a person acknowledged stays theirs.
        unknown = alarm.active and self._scope is None
        if unknown or alarm.state is State.ACTIVE_ACKED or any(_overlaps(alarm, item) for item in found):
            return
        # An alarm of no length stands for nothing: should it show after all, it is a new one.
        never = replace(alarm, ended_us=alarm.first_onset_us)
        self._change(alarm, Event.WITHDRAW, never, alarm.first_onset_us, CORRECTION)

    def finish(self, decided_us: int) -> None:
        """Clear an active alarm that an evaluation of everything does not show."""
        alarm = self._open
        if self._scope is None or self._shown or alarm is None or not alarm.active:
            return
        if self._scope.history:
            self._clear(alarm, alarm.onset_us, CORRECTION)
        else:
            self._clear(alarm, max(decided_us, alarm.onset_us))

    def _stands_for(self, found: Found) -> bool:
        alarms = [*self._closed, self._open] if self._open else self._closed
        return any(_overlaps(alarm, found) for alarm in alarms)

    def _raise(self, found: Found) -> None:
        state = LIFECYCLE.after(None, Event.RAISE)
        new = Alarm(
            alarm_id=None,
            meter_key=self._key[0],
            check=self._key[1],
            severity=found.severity,
            state=state,
            onset_us=found.start_us,
            first_onset_us=found.start_us,
            ended_us=None,
            occurrences=1,
            readings=found.readings,
            value=found.value,
            limit=found.limit,
            part=found.part,
            origin=found.origin,
        )
        self._change(None, Event.RAISE, new, found.start_us)
        self._end(new, found)

    def _reactivate(self, alarm: Alarm, found: Found) -> None:
        again = replace(
            _with_figures(alarm, found),
            severity=_worse(alarm.severity, found.severity),
            onset_us=found.start_us,
            first_onset_us=min(alarm.first_onset_us, found.start_us),
            ended_us=None,
            occurrences=alarm.occurrences + 1,
        )
        self._end(self._change(alarm, Event.REACTIVATE, again, found.start_us), found)

    def _go_on(self, alarm: Alarm, found: Found) -> None:
        now = _with_figures(alarm, found)
        note = None
        if self._scope is not None and self._scope.history and found.start_us != alarm.onset_us:
            first = min(alarm.first_onset_us, found.start_us)
            now, note = replace(now, onset_us=found.start_us, first_onset_us=first), ONSET_CORRECTED
        if RANK[found.severity] < RANK[alarm.severity]:
            worse = replace(now, severity=found.severity)
            now = self._change(alarm, Event.ESCALATE, worse, _seen_us(found), note)
        elif note is not None or (found.ongoing and not _same_figures(alarm, now)):
            now = self._change(alarm, Event.UPDATE, now, _seen_us(found), note)
        self._end(now, found)

    def _end(self, alarm: Alarm, found: Found) -> None:
        if not found.ongoing:
            self._clear(alarm, found.end_us)

    def _clear(self, alarm: Alarm, ended_us: int, note: str | None = None) -> None:
        self._change(alarm, Event.CLEAR, replace(alarm, ended_us=ended_us), ended_us, note)

    def _change(
        self, before: Alarm | None, event: Event, after: Alarm, event_us: int, note: str | None = None
    ) -> Alarm:
        state = before.state if before else None
        after = replace(after, state=LIFECYCLE.after(state, event))
        self.changes.append(Change(event=event, before=state, after=after, event_us=event_us, note=note))
        if after.is_open:
            self._open = after
        else:
            self._open = None
            self._closed.append(after)
        return after


def _overlaps(alarm: Alarm, found: Found) -> bool:
    return alarm.first_onset_us < found.end_us and found.start_us < alarm.until_us


def _seen_us(found: Found) -> int:
    """When an episode's figures moved; all that it says of an ongoing one is its onset."""
    return found.start_us if found.ongoing else found.end_us


def _with_figures(alarm: Alarm, found: Found) -> Alarm:
    return replace(
        alarm,
        readings=found.readings,
        value=found.value,
        limit=found.limit,
        part=found.part,
        origin=found.origin,
    )


def _same_figures(one: Alarm, other: Alarm) -> bool:
    return (one.readings, one.part, one.origin) == (other.readings, other.part, other.origin) and all(
        a == b or (math.isnan(a) and math.isnan(b))
        for a, b in ((one.value, other.value), (one.limit, other.limit))
    )


def _worse(one: Severity, other: Severity) -> Severity:
    return min(one, other, key=RANK.__getitem__)


def _late_note(found: Found) -> str:
    return LATE_UNTIL + to_datetime(found.end_us).isoformat()
