"""The alarms of one meter and check, as they change while its episodes are gone through; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alerts.alarms.figures import have_moved, same_figures, with_figures, without_last, worse
from alerts.alarms.findings import Found, Key, first_known
from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.alarms.model import RANK, Alarm, Change
from alerts.alarms.scope import Scope
from alerts.alarms.sensors import SEVERAL, joined, onset_us
from fleet.times import to_datetime

CORRECTION = "correction: the readings as they are now do not show it"
#: A time follows, RFC 3339.
LATE_UNTIL = "late readings: it was so until "
ONSET_CORRECTED = "correction: the readings as they are now show another onset"
LAST_CORRECTED = "correction: the readings as they are now show another last occurrence"

#: They change what was known, whatever they are about.
_CORRECTING = frozenset({Event.WITHDRAW, Event.RECUR_LATE, Event.CORRECT})


class Case:
    """One meter and check in one decision."""

    def __init__(self, key: Key, alarms: Sequence[Alarm], scope: Scope) -> None:
        self._key = key
        self._closed = [alarm for alarm in alarms if not alarm.is_open]
        self._open = next((alarm for alarm in alarms if alarm.is_open), None)
        self._scope = scope
        self._covered = scope.covers(key)
        self._history = self._covered and scope.history
        self._shown = False
        self.changes: list[Change] = []

    def take(self, found: Found) -> None:
        """Settle one episode; they come in the order of their onsets."""
        alarm = self._open
        self._shown = self._shown or found.ongoing
        if alarm is not None and alarm.active and found.end_us > alarm.onset_us:
            self._go_on(alarm, found)
        elif not found.ongoing and self._stands_for(found):
            self._join_last(found)
        elif alarm is None:
            self._raise(found)
        elif found.ongoing or (not alarm.active and found.start_us >= alarm.until_us):
            self._reactivate(alarm, found)
        else:
            self._recur_late(alarm, found)

    def withdraw(self, found: Sequence[Found]) -> None:
        """Withdraw an unacknowledged alarm that no episode of a history supports."""
        alarm = self._open
        if alarm is None or not self._scope.refutes(alarm):
            return
        # Of what goes on now not every history knows; and what a person acknowledged stays theirs.
        unknown = alarm.active and not self._covered
        if unknown or alarm.state is State.ACTIVE_ACKED or any(_overlaps(alarm, item) for item in found):
            return
        # An alarm of no length stands for nothing: should it show after all, it is a new one.
        never = replace(alarm, onset_us=alarm.first_onset_us, ended_us=alarm.first_onset_us)
        self._change(alarm, Event.WITHDRAW, never, alarm.first_onset_us, note=CORRECTION)

    def finish(self, decided_us: int) -> None:
        """Clear an active alarm that an evaluation of everything does not show."""
        alarm = self._open
        if not self._covered or self._shown or alarm is None or not alarm.active:
            return
        if self._scope.history:
            self._clear(alarm, alarm.onset_us, note=CORRECTION)
        else:
            self._clear(alarm, max(decided_us, alarm.onset_us))

    def correct(self, found: Sequence[Found]) -> None:
        """Tell of what is over what readings evaluated again say of it, where nobody acknowledged it."""
        alarm = self._open
        if alarm is None or self._scope.refutes_from(self._key) is None:
            return
        severity = worse(alarm.severity, *(item.severity for item in found if _overlaps(alarm, item)))
        if alarm.active:
            if severity is not alarm.severity:
                worst = min((item for item in found if _overlaps(alarm, item)), key=_rank)
                arrived_us = first_known(worst.failed_arrived_us, worst.began_arrived_us)
                after = replace(alarm, severity=severity)
                self._change(alarm, Event.ESCALATE, after, worst.start_us, arrived_us)
            return
        last = next((item for item in reversed(found) if _overlaps(alarm, item)), None)
        if last is not None:
            began_us = onset_us(alarm, last, self._scope, again=True)
            after = replace(with_figures(alarm, last), onset_us=began_us, ended_us=last.end_us)
        elif self._scope.refutes_last(alarm):
            after = without_last(alarm)
        else:
            return
        self._correct_last(alarm, replace(after, severity=severity), last)

    def _correct_last(self, alarm: Alarm, after: Alarm, last: Found | None) -> None:
        same = (after.onset_us, after.ended_us, after.severity) == (
            alarm.onset_us,
            alarm.ended_us,
            alarm.severity,
        )
        if same and same_figures(alarm, after):
            return
        arrived_us = first_known(last.newest_arrived_us) if last else None
        note = LAST_CORRECTED if last else CORRECTION
        self._change(alarm, Event.CORRECT, after, after.onset_us, arrived_us, note=note)

    def _stands_for(self, found: Found) -> bool:
        alarms = [*self._closed, self._open] if self._open else self._closed
        return any(_overlaps(alarm, found) for alarm in alarms)

    def _join_last(self, found: Found) -> None:
        alarm = self._open
        # Where readings were evaluated again, all that they say is told of at the end.
        if alarm is None or alarm.active or self._scope.refutes_from(self._key) is not None:
            return
        after = joined(alarm, found)
        if after is not None:
            arrived_us = first_known(found.ended_arrived_us, found.newest_arrived_us)
            self._change(alarm, Event.CORRECT, after, after.onset_us, arrived_us, note=LAST_CORRECTED)

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
        self._change(None, Event.RAISE, new, found.start_us, found.known_us)
        self._end(new, found)

    def _reactivate(self, alarm: Alarm, found: Found) -> None:
        began_us = found.start_us
        if began_us < alarm.until_us and self._key[1] in SEVERAL:
            # What was over was so at one sensor only.
            began_us = onset_us(alarm, found, self._scope, again=self._history)
        again = replace(
            with_figures(alarm, found),
            severity=worse(alarm.severity, found.severity),
            onset_us=began_us,
            first_onset_us=min(alarm.first_onset_us, began_us),
            ended_us=None,
            occurrences=alarm.occurrences + 1,
        )
        self._end(self._change(alarm, Event.REACTIVATE, again, found.start_us, found.known_us), found)

    def _recur_late(self, alarm: Alarm, found: Found) -> None:
        first = min(alarm.first_onset_us, found.start_us)
        late = replace(alarm, first_onset_us=first, occurrences=alarm.occurrences + 1)
        note = LATE_UNTIL + to_datetime(found.end_us).isoformat()
        self._change(
            alarm, Event.RECUR_LATE, late, found.start_us, found.known_us, note=note, until_us=found.end_us
        )

    def _go_on(self, alarm: Alarm, found: Found) -> None:
        now, note = with_figures(alarm, found), None
        began_us = onset_us(alarm, found, self._scope, again=self._history)
        if began_us != alarm.onset_us:
            first = min(alarm.first_onset_us, began_us)
            now, note = replace(now, onset_us=began_us, first_onset_us=first), ONSET_CORRECTED
        if RANK[found.severity] < RANK[alarm.severity]:
            arrived_us = first_known(found.failed_arrived_us, found.began_arrived_us)
            now = replace(now, severity=found.severity)
            now = self._change(alarm, Event.ESCALATE, now, found.seen_us, arrived_us, note=note)
        elif note is not None:
            now = self._change(alarm, Event.UPDATE, now, found.seen_us, found.known_us, note=note)
        elif found.ongoing and have_moved(alarm, now):
            newest_us = first_known(found.newest_arrived_us)
            now = self._change(alarm, Event.UPDATE, now, found.seen_us, newest_us)
        self._end(now, found)

    def _end(self, alarm: Alarm, found: Found) -> None:
        if not found.ongoing:
            arrived_us = first_known(found.ended_arrived_us, found.newest_arrived_us)
            self._clear(alarm, found.end_us, arrived_us)

    def _clear(
        self, alarm: Alarm, ended_us: int, arrived_us: int | None = None, note: str | None = None
    ) -> None:
        after = replace(alarm, ended_us=ended_us)
        self._change(alarm, Event.CLEAR, after, ended_us, arrived_us, note=note)

    def _change(
        self,
        before: Alarm | None,
        event: Event,
        after: Alarm,
        event_us: int,
        arrived_us: int | None = None,
        *,
        note: str | None = None,
        until_us: int | None = None,
    ) -> Alarm:
        state = LIFECYCLE.after(before.state if before else None, event)
        if state is State.ACTIVE_UNACKED:
            after = replace(after, state=state, acknowledged_by=None, acknowledged_us=None)
        elif state is not after.state:
            after = replace(after, state=state)
        change = Change(
            event=event,
            before=before.state if before else None,
            after=after,
            event_us=event_us,
            arrived_us=self._scope.arrived_us.get(self._key[0]) if arrived_us is None else arrived_us,
            correction=self._corrects(event, event_us, note),
            late_until_us=until_us,
            note=note,
        )
        self._settle(change)
        return after

    def _corrects(self, event: Event, event_us: int, note: str | None) -> bool:
        if event in _CORRECTING or note is not None:
            return True
        moves = event in (Event.RAISE, Event.REACTIVATE, Event.CLEAR)
        return moves and self._scope.was_known(self._key[0], event_us)

    def _settle(self, change: Change) -> None:
        self.changes.append(change)
        after = change.after
        self._open = after if after.is_open else None
        if not after.is_open:
            self._closed.append(after)


def _overlaps(alarm: Alarm, found: Found) -> bool:
    return alarm.first_onset_us < found.end_us and found.start_us < alarm.until_us


def _rank(found: Found) -> int:
    return RANK[found.severity]
