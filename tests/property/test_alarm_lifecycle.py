"""Any history of one check of one meter, seen in any pieces, with people acknowledging in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.alarms.lifecycle import ACTIVE, LIFECYCLE, Event, State
from alerts.alarms.model import fold
from alerts.alarms.reconcile import reconcile
from alerts.alarms.scope import Scope
from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_CODE
from fleet.flags import Flag

HISTORY = Scope(frozenset({1}), frozenset(BY_CODE), history=True)
CHECK = BY_CODE["flow_over_range"].number


def at(time_us):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)


def episodes(bad):
    """Episodes of a history given as one flag per reading; reading i is at time i."""
    found, start = [], None
    for i, flag in enumerate([*bad, None]):
        if flag is None or flag:
            start = i if flag and start is None else start
        if start is not None and not flag:
            found.append((start, ONGOING_US if flag is None else i, max(bad[start:i])))
            start = None
    return found


def as_arrays(found):
    if not found:
        return Episodes.empty()
    start, end, flag = (list(column) for column in zip(*found, strict=True))
    return Episodes.build(
        meter_key=1,
        check=CHECK,
        flag=flag,
        part=0,
        started_us=start,
        ended_us=end,
        readings=1,
        value=1.0,
        limit=1.0,
    )


class Alarms:
    """The alarm table, in memory."""

    def __init__(self):
        self.rows = []
        self.journal = []

    def reconcile(self, found, now, scope=None):
        changes = reconcile(as_arrays(found), self.rows, at(now), scope)
        for item in fold(changes):
            if item.expected is None:
                self.rows.append(replace(item.after, alarm_id=len(self.rows)))
            else:
                assert self.rows[item.after.alarm_id].state is item.expected
                self.rows[item.after.alarm_id] = item.after
        self.journal += changes
        assert reconcile(as_arrays(found), self.rows, at(now), scope) == []
        return changes

    @property
    def open(self):
        return [row for row in self.rows if row.state is not State.CLOSED]

    @property
    def active(self):
        return [row for row in self.rows if row.state in ACTIVE]

    def acknowledge(self, row):
        self.rows[row.alarm_id] = replace(row, state=LIFECYCLE.after(row.state, Event.ACKNOWLEDGE))


class AlarmLife(RuleBasedStateMachine):
    """Readings come in order or late; whatever happens, the alarms say what the readings say."""

    def __init__(self):
        super().__init__()
        self.alarms = Alarms()
        self.readings = []

    @rule(new=st.lists(st.sampled_from([0, 0, Flag.SUSPECT, Flag.FAIL]), min_size=1, max_size=6))
    def readings_come_in_order(self, new):
        before = len(self.readings)
        self.readings += new
        found = [e for e in episodes(self.readings) if e[1] >= before]
        self.alarms.reconcile(found, len(self.readings))

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def late_readings_change_what_is_known(self, data):
        where = data.draw(st.integers(0, len(self.readings) - 1))
        self.readings[where] = data.draw(st.sampled_from([0, Flag.SUSPECT, Flag.FAIL]))
        self.alarms.reconcile(episodes(self.readings), len(self.readings), HISTORY)

    @rule()
    def the_history_is_evaluated_again(self):
        changes = self.alarms.reconcile(episodes(self.readings), len(self.readings), HISTORY)
        assert not [
            change for change in changes if change.event in (Event.RAISE, Event.REACTIVATE, Event.RECUR_LATE)
        ]

    @precondition(
        lambda self: any(LIFECYCLE.possible(row.state, Event.ACKNOWLEDGE) for row in self.alarms.open)
    )
    @rule()
    def somebody_acknowledges(self):
        self.alarms.acknowledge(self.alarms.open[0])

    @invariant()
    def at_most_one_alarm_is_open(self):
        assert len(self.alarms.open) <= 1

    @invariant()
    def an_alarm_is_active_exactly_while_the_condition_holds(self):
        assert bool(self.alarms.active) == bool(self.readings and self.readings[-1])

    @invariant()
    def every_episode_has_its_alarm(self):
        hulls = [(row.first_onset_us, row.until_us) for row in self.alarms.rows]
        for start, end, _ in episodes(self.readings):
            assert any(first < end and start < until for first, until in hulls)

    @invariant()
    def every_change_is_a_row_of_the_table(self):
        for change in self.alarms.journal:
            assert LIFECYCLE.after(change.before, change.event) is change.after.state

    @invariant()
    def an_active_alarm_has_no_end_and_another_one_has(self):
        for row in self.alarms.rows:
            assert (row.ended_us is None) == row.active


TestAlarmLife = AlarmLife.TestCase


@given(
    readings=st.lists(st.sampled_from([0, Flag.SUSPECT, Flag.FAIL]), max_size=30),
    cuts=st.sets(st.integers(0, 30), max_size=8),
)
def test_cutting_the_readings_anywhere_gives_the_same_alarms(readings, cuts):
    whole, pieces = Alarms(), Alarms()
    whole.reconcile(episodes(readings), len(readings))
    done = 0
    for end in sorted(cut for cut in cuts | {len(readings)} if cut <= len(readings)):
        found = [e for e in episodes(readings[:end]) if e[1] >= done]
        pieces.reconcile(found, end)
        done = end
    assert pieces.rows == whole.rows
