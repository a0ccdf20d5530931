"""Reconciliation, case by case; times are small numbers of microseconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from math import nan

import pytest

from alerts.alarms.figures import without_last
from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.alarms.model import Alarm, Occurrence, fold
from alerts.alarms.reconcile import reconcile
from alerts.alarms.scope import Scope
from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_CODE, Severity
from fleet.flags import Flag
from fleet.policies import Origin

DECIDED = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1000)
HISTORY = Scope(frozenset({7}), frozenset(BY_CODE), history=True)
PRESENT = Scope(frozenset({7}), frozenset({"meter_silent", "battery_overdue"}))


def episode(start, end=None, flag=Flag.SUSPECT, check="flow_over_range", meter=7, part=0, **figures):
    return Episodes.build(
        **{
            "meter_key": meter,
            "check": BY_CODE[check].number,
            "flag": flag,
            "part": part,
            "started_us": start,
            "ended_us": ONGOING_US if end is None else end,
            "readings": 1,
            "value": 170.0,
            "limit": 160.0,
            **figures,
        }
    )


def alarm(state, onset, ended=None, **fields):
    return Alarm(
        **{
            "alarm_id": 1,
            "meter_key": 7,
            "check": "flow_over_range",
            "severity": Severity.MINOR,
            "state": State(state),
            "onset_us": onset,
            "first_onset_us": onset,
            "ended_us": ended,
            "occurrences": 1,
            "readings": 1,
            "value": 170.0,
            "limit": 160.0,
            "part": 0,
            **fields,
        }
    )


def after(alarms, changes):
    """The alarms as a database would have them after the changes."""
    numbers = count(100)
    left = {a.alarm_id: a for a in alarms}
    for item in fold(changes):
        number = next(numbers) if item.after.alarm_id is None else item.after.alarm_id
        left[number] = replace(item.after, alarm_id=number)
    return list(left.values())


ACTIVE, ACKED, CLEARED, CLOSED = "active_unacked", "active_acked", "cleared_unacked", "closed"

CASES = [
    ("A new condition raises.", [], [episode(10)], [Event.RAISE]),
    ("One that is over already is raised and cleared.", [], [episode(10, 20)], [Event.RAISE, Event.CLEAR]),
    (
        "Two that are over are one alarm with two occurrences.",
        [],
        [episode(10, 20), episode(30, 40)],
        [Event.RAISE, Event.CLEAR, Event.REACTIVATE, Event.CLEAR],
    ),
    (
        "Episodes are gone through in the order of their onsets.",
        [],
        [episode(30), episode(10, 20)],
        [Event.RAISE, Event.CLEAR, Event.REACTIVATE],
    ),
    ("The same findings again change nothing.", [alarm(ACTIVE, 10)], [episode(10)], []),
    ("Nothing found in passing changes nothing.", [alarm(ACTIVE, 10)], [], []),
    ("A value that grew is an update.", [alarm(ACTIVE, 10)], [episode(10, value=180.0)], [Event.UPDATE]),
    ("An acknowledged one is updated too.", [alarm(ACKED, 10)], [episode(10, readings=2)], [Event.UPDATE]),
    ("A worse flag escalates.", [alarm(ACTIVE, 10)], [episode(10, flag=Flag.FAIL)], [Event.ESCALATE]),
    ("Severity never falls while it lasts.", [alarm(ACTIVE, 10, severity=Severity.MAJOR)], [episode(10)], []),
    ("The end clears.", [alarm(ACTIVE, 10)], [episode(10, 20)], [Event.CLEAR]),
    ("The end of an acknowledged one closes it.", [alarm(ACKED, 10)], [episode(10, 20)], [Event.CLEAR]),
    ("The end seen again changes nothing.", [alarm(CLEARED, 10, 20)], [episode(10, 20)], []),
    ("So with a closed one.", [alarm(CLOSED, 10, 20)], [episode(10, 20)], []),
    ("It comes back unseen.", [alarm(CLEARED, 10, 20)], [episode(30)], [Event.REACTIVATE]),
    ("It may begin where the last one ended.", [alarm(CLEARED, 10, 20)], [episode(20)], [Event.REACTIVATE]),
    (
        "It came back and went unseen.",
        [alarm(CLEARED, 10, 20)],
        [episode(30, 40)],
        [Event.REACTIVATE, Event.CLEAR],
    ),
    (
        "After a closed one a recurrence is a new alarm.",
        [alarm(CLOSED, 10, 20)],
        [episode(30)],
        [Event.RAISE],
    ),
    (
        "An acknowledged one closes, and the next is a new alarm.",
        [alarm(ACKED, 10)],
        [episode(10, 20), episode(30)],
        [Event.CLEAR, Event.RAISE],
    ),
    (
        "An unseen one goes and comes.",
        [alarm(ACTIVE, 10)],
        [episode(10, 20), episode(30)],
        [Event.CLEAR, Event.REACTIVATE],
    ),
    (
        "What late readings show before an active one is counted with it.",
        [alarm(ACTIVE, 50)],
        [episode(10, 20)],
        [Event.RECUR_LATE],
    ),
    ("So with one that is over.", [alarm(CLEARED, 50, 60)], [episode(10, 20)], [Event.RECUR_LATE]),
    (
        "What late readings show before a closed one is a new alarm.",
        [alarm(CLOSED, 50, 60)],
        [episode(10, 20)],
        [Event.RAISE, Event.CLEAR],
    ),
    (
        "What an alarm of several occurrences stood for is known.",
        [alarm(ACTIVE, 50, first_onset_us=10, occurrences=3)],
        [episode(10, 20), episode(30, 40), episode(50)],
        [],
    ),
    (
        "It is so although the alarm was closed by mistake.",
        [alarm(CLOSED, 10, 20)],
        [episode(15)],
        [Event.RAISE],
    ),
    (
        "It is so although the alarm was cleared by mistake.",
        [alarm(CLEARED, 10, 20)],
        [episode(15)],
        [Event.REACTIVATE],
    ),
    ("A single reading's episode is known the second time.", [alarm(CLEARED, 10, 11)], [episode(10, 10)], []),
    ("An end later than thought clears.", [alarm(ACTIVE, 10)], [episode(5, 20)], [Event.CLEAR]),
    (
        "Two batteries at once are one alarm.",
        [],
        [episode(10, check="battery_low", part=1), episode(20, check="battery_low", part=2)],
        [Event.RAISE],
    ),
    (
        "It lasts while one of them is low.",
        [],
        [episode(10, 30, check="battery_low", part=1), episode(20, check="battery_low", part=2)],
        [Event.RAISE],
    ),
    (
        "One after the other they are two occurrences.",
        [],
        [episode(10, 20, check="battery_low", part=1), episode(30, check="battery_low", part=2)],
        [Event.RAISE, Event.CLEAR, Event.REACTIVATE],
    ),
    (
        "Checks have alarms of their own.",
        [alarm(ACTIVE, 10)],
        [episode(10, check="balance_low")],
        [Event.RAISE],
    ),
    ("Meters have alarms of their own.", [alarm(ACTIVE, 10)], [episode(10, meter=8)], [Event.RAISE]),
]


@pytest.mark.parametrize(("sentence", "alarms", "episodes", "events"), CASES, ids=[c[0] for c in CASES])
def test_what_is_found_becomes_these_changes_and_found_again_none(sentence, alarms, episodes, events):
    found = Episodes.concatenate(episodes)
    changes = reconcile(found, alarms, DECIDED)
    assert [change.event for change in changes] == events, sentence
    assert reconcile(found, after(alarms, changes), DECIDED) == []


WHOLE = [
    ("A history without it corrects.", HISTORY, [alarm(ACTIVE, 10)], [], [Event.CLEAR], 10, "correction"),
    (
        "A calendar without it says that it is over.",
        PRESENT,
        [alarm(ACTIVE, 10, check="meter_silent")],
        [],
        [Event.CLEAR],
        1000,
        None,
    ),
    ("A history with it keeps it.", HISTORY, [alarm(ACTIVE, 10)], [episode(10)], [], None, None),
    (
        "A history may show another onset.",
        HISTORY,
        [alarm(ACTIVE, 10)],
        [episode(5)],
        [Event.UPDATE],
        None,
        "correction",
    ),
    ("A history may show an end.", HISTORY, [alarm(ACTIVE, 10)], [episode(10, 20)], [Event.CLEAR], 20, None),
    (
        "A history may show only an earlier one.",
        HISTORY,
        [alarm(ACTIVE, 10, first_onset_us=2, occurrences=2)],
        [episode(2, 4)],
        [Event.CLEAR],
        10,
        "correction",
    ),
    (
        "A history says nothing of other checks' alarms.",
        Scope(frozenset({7}), frozenset({"balance_low"}), history=True),
        [alarm(ACTIVE, 10)],
        [],
        [],
        None,
        None,
    ),
    (
        "Nor of other meters'.",
        Scope(frozenset({8}), frozenset(BY_CODE), history=True),
        [alarm(ACTIVE, 10)],
        [],
        [],
        None,
        None,
    ),
    (
        "What is over stays over.",
        HISTORY,
        [alarm(CLEARED, 10, 20), alarm(CLOSED, 1, 2, alarm_id=2)],
        [],
        [],
        None,
        None,
    ),
    ("A closed one that never was stays closed.", HISTORY, [alarm(CLOSED, 10, 20)], [], [], None, None),
]


@pytest.mark.parametrize(
    ("sentence", "scope", "alarms", "episodes", "events", "ended_us", "note"),
    WHOLE,
    ids=[c[0] for c in WHOLE],
)
def test_where_everything_was_evaluated_absence_counts(
    sentence, scope, alarms, episodes, events, ended_us, note
):
    found = Episodes.concatenate(episodes)
    changes = reconcile(found, alarms, DECIDED, scope)
    assert [change.event for change in changes] == events, sentence
    if changes:
        assert changes[-1].after.ended_us == ended_us
        assert (changes[-1].note or "").startswith(note or "")
        assert (changes[-1].note is None) == (note is None)
    assert reconcile(found, after(alarms, changes), DECIDED, scope) == []


def test_a_new_alarm_says_what_was_found():
    [change] = reconcile(episode(10, flag=Flag.FAIL, readings=3, value=200.0), [], DECIDED)
    assert change.after == Alarm(
        alarm_id=None,
        meter_key=7,
        check="flow_over_range",
        severity=Severity.MAJOR,
        state=State.ACTIVE_UNACKED,
        onset_us=10,
        first_onset_us=10,
        ended_us=None,
        occurrences=1,
        readings=3,
        value=200.0,
        limit=160.0,
        part=0,
    )
    assert (change.before, change.event_us, change.correction) == (None, 10, False)


def test_an_alarm_takes_over_whose_limit_it_is_and_a_change_of_that_is_an_update():
    [raised] = reconcile(episode(10, origin=Origin.MODEL), [], DECIDED)
    assert raised.after.origin is Origin.MODEL
    known = replace(raised.after, alarm_id=1)
    [update] = reconcile(episode(10, origin=Origin.COMPANY), [known], DECIDED)
    assert (update.event, update.after.origin) == (Event.UPDATE, Origin.COMPANY)
    assert reconcile(episode(10, origin=Origin.MODEL), [known], DECIDED) == []


def test_what_an_evaluation_does_not_know_of_a_limit_stays():
    known = alarm("active_unacked", 10, origin=Origin.MODEL)
    # A state that holds an open episode knows neither limit nor origin; some checks know the origin alone.
    assert reconcile(episode(10, limit=nan), [known], DECIDED) == []
    [update] = reconcile(episode(10, limit=nan, origin=Origin.COMPANY), [known], DECIDED)
    assert (update.after.limit, update.after.origin) == (160.0, Origin.COMPANY)


def test_an_alarm_that_falls_back_on_its_last_but_one_occurrence_tells_whose_limit_that_was():
    before = Occurrence(
        onset_us=10, ended_us=20, readings=2, value=165.0, limit=150.0, part=0, origin=Origin.MODEL
    )
    again = alarm("cleared_unacked", 50, 60, origin=Origin.COMPANY, occurrences=2, first_onset_us=10)
    scope = replace(HISTORY, refutable=HISTORY.checks, since_us={7: 0})
    found = episode(10, 20, origin=Origin.MODEL)
    assert without_last(replace(again, previous=before)).origin is Origin.MODEL
    [change] = reconcile(found, [replace(again, previous=before)], DECIDED, scope)
    assert (change.event, change.after.origin) == (Event.CORRECT, Origin.MODEL)


def test_a_recurrence_has_its_own_onset_and_keeps_the_worst_severity():
    old = alarm(CLEARED, 10, 20, severity=Severity.MAJOR)
    [change] = reconcile(episode(30, value=165.0), [old], DECIDED)
    new = change.after
    assert (new.onset_us, new.first_onset_us, new.ended_us, new.occurrences) == (30, 10, None, 2)
    assert (new.severity, new.value) == (Severity.MAJOR, 165.0)


def test_another_onset_is_a_correction_and_mere_figures_are_none():
    [figures] = reconcile(episode(10, readings=2), [alarm(ACTIVE, 10)], DECIDED)
    assert (figures.event, figures.correction) == (Event.UPDATE, False)
    [onset] = reconcile(episode(5), [alarm(ACTIVE, 10)], DECIDED, HISTORY)
    assert (onset.event, onset.correction, onset.after.onset_us) == (Event.UPDATE, True, 5)


@pytest.mark.parametrize(
    ("readings", "value", "written"),
    [(124, 170.0, False), (125, 170.0, True), (99, 170.0, True), (100, 173.3, False), (100, 173.5, True)],
)
def test_figures_are_written_once_they_have_moved_enough(readings, value, written):
    old = alarm(ACTIVE, 10, readings=100)
    changes = reconcile(episode(10, readings=readings, value=value), [old], DECIDED)
    assert [change.event for change in changes] == ([Event.UPDATE] if written else [])


def test_the_end_brings_the_exact_figures():
    [change] = reconcile(
        episode(10, 20, readings=101, value=171.0), [alarm(ACTIVE, 10, readings=100)], DECIDED
    )
    assert (change.event, change.after.readings, change.after.value) == (Event.CLEAR, 101, 171.0)


def test_a_check_without_a_value_is_the_same_the_second_time():
    found = episode(10, value=nan, limit=nan)
    assert reconcile(found, [alarm(ACTIVE, 10, value=nan, limit=nan)], DECIDED) == []


def test_two_parts_show_the_figures_of_the_worse_one():
    found = Episodes.concatenate(
        [
            episode(10, part=1, value=3.2),
            episode(20, part=2, value=3.0, flag=Flag.FAIL),
        ]
    )
    [change] = reconcile(found, [], DECIDED)
    assert (change.after.onset_us, change.after.part, change.after.value) == (10, 2, 3.0)
    assert change.after.severity is Severity.MAJOR


def test_changes_of_one_alarm_fold_into_one_guarded_step():
    changes = reconcile(Episodes.concatenate([episode(10, 20), episode(30)]), [alarm(ACKED, 10)], DECIDED)
    closed, opened = fold(changes)
    assert (closed.expected, closed.after.state, closed.after.alarm_id) == (
        State.ACTIVE_ACKED,
        State.CLOSED,
        1,
    )
    assert (opened.expected, opened.after.state, opened.after.alarm_id) == (None, State.ACTIVE_UNACKED, None)


def test_every_change_is_a_row_of_the_table():
    for _, alarms, episodes, _ in CASES:
        for change in reconcile(Episodes.concatenate(episodes), alarms, DECIDED):
            assert LIFECYCLE.after(change.before, change.event) is change.after.state


#: A history from 50 on that began with all that was open.
WHOLE = replace(HISTORY, refutable=HISTORY.checks, since_us={7: 50}, whole=True)


@pytest.mark.parametrize("known", [alarm(ACTIVE, 30), alarm(CLEARED, 30, 60)])
def test_what_reaches_into_a_whole_history_and_is_not_shown_never_was(known):
    [change] = reconcile(Episodes.empty(), [known], DECIDED, WHOLE)
    assert (change.event, change.correction, change.after.ended_us) == (Event.WITHDRAW, True, 30)
    assert reconcile(Episodes.empty(), [alarm(CLEARED, 30, 50)], DECIDED, WHOLE) == []
    assert reconcile(episode(30), [alarm(ACTIVE, 30)], DECIDED, WHOLE) == []


@pytest.mark.parametrize(("state", "ended"), [(ACTIVE, None), (CLEARED, 60)])
def test_an_earlier_occurrence_stands_though_the_last_one_never_was(state, ended):
    before = Occurrence(onset_us=10, ended_us=20, readings=2, value=165.0, limit=150.0, part=0)
    known = alarm(state, 30, ended, occurrences=2, first_onset_us=10, previous=before)
    changes = reconcile(Episodes.empty(), [known], DECIDED, WHOLE)
    [left] = after([known], changes)
    assert (left.state, left.onset_us, left.ended_us) == (CLEARED, 10, 20)
    assert all(change.correction for change in changes)


@pytest.mark.parametrize(("state", "ended", "shown"), [(ACTIVE, None, None), (CLEARED, 90, 90)])
def test_an_onset_from_before_a_history_is_not_moved_by_what_another_sensor_had_open(state, ended, shown):
    """Battery 1 was low from 10 to 40, battery 2 is since 30; the history begins at 50."""
    scope = replace(HISTORY, refutable=HISTORY.checks, since_us={7: 50})
    known = alarm(state, 10, ended, check="battery_low", part=2)
    assert reconcile(episode(30, shown, check="battery_low", part=2), [known], DECIDED, scope) == []
    [later] = after([known], reconcile(episode(60, shown, check="battery_low"), [known], DECIDED, scope))
    assert later.onset_us == 60
    one_sensor = alarm(state, 10, ended)
    [moved] = after([one_sensor], reconcile(episode(30, shown), [one_sensor], DECIDED, scope))
    assert moved.onset_us == 30


@pytest.mark.parametrize(
    ("start", "end", "onset", "until"), [(15, 30, 10, 30), (5, 15, 5, 20), (5, 30, 5, 30), (2, 30, 1, 30)]
)
def test_what_one_sensor_shows_late_joins_the_last_occurrence(start, end, onset, until):
    before = Occurrence(onset_us=1, ended_us=4, readings=1, value=170.0, limit=160.0, part=0)
    known = alarm(CLEARED, 10, 20, check="sensor_glitch", first_onset_us=1, occurrences=2, previous=before)
    found = episode(start, end, check="sensor_glitch")
    changes = reconcile(found, [known], DECIDED)
    assert [(change.event, change.correction) for change in changes] == [(Event.CORRECT, True)]
    [left] = after([known], changes)
    assert (left.onset_us, left.ended_us, left.occurrences) == (onset, until, 2)
    assert reconcile(found, [left], DECIDED) == []


def test_what_goes_on_at_one_sensor_was_not_over():
    known = alarm(CLEARED, 10, 20, check="sensor_glitch")
    [change] = reconcile(episode(15, check="sensor_glitch"), [known], DECIDED)
    assert (change.event, change.after.onset_us) == (Event.REACTIVATE, 10)


def test_a_run_that_was_good_for_a_while_has_the_figures_of_its_end():
    found = Episodes.concatenate([episode(10, 20, readings=3, flag=Flag.FAIL), episode(10, 40, readings=4)])
    [change] = reconcile(found, [alarm(ACTIVE, 10, severity=Severity.MAJOR)], DECIDED)
    assert (change.after.ended_us, change.after.readings) == (40, 4)
