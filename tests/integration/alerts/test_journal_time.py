"""The journal: when things were, arrived and were decided, and what was known at any moment."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.alarms.lifecycle import State
from alerts.alarms.store import Acknowledged, acknowledge
from alerts.engine import Engine
from api.service import SQL
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.exceptions import StorageError

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

#: Columns of the table that the journal tells, under the names of the query.
COLUMNS = (
    "alarm_id", "company", "check", "severity", "state", "onset_at", "ended_at", "raised_at", "occurrences",
    "readings", "value", "limit", "limit_from", "part", "acknowledged_by", "acknowledged_at", "closed_at",
)  # fmt: skip


def _arrive(story, key, *readings):
    """Readings (device time, arrival, flow) arrive in one ingest transaction."""
    times, arrivals, flows = zip(*readings, strict=True)
    times_us = [to_us(at) for at in times]
    batch = ReadingBatch.build(
        meter_key=np.full(len(times), key),
        device_time_us=times_us,
        seq=times_us,
        received_us=[to_us(at) for at in arrivals],
        flow_m3h=list(flows),
    )
    order = np.argsort(times_us)
    story.arrive_batch(batch.take(order), max(arrivals))


def _told(story):
    rows = story.ask("SELECT * FROM alarm_journal ORDER BY journal_id")
    names = ("event", "event_at", "arrived_at", "decided_at", "correction")
    return [tuple(row[name] for name in names) for row in rows]


def test_each_change_says_when_it_was_when_its_reading_arrived_and_when_it_was_decided(story, one_meter, now):
    came = [now + timedelta(seconds=second) for second in (1, 62, 123, 184, 245)]
    flows = [100.0, 170.0, 175.0, 200.0, 100.0]
    rows = [(now + i * MINUTE, came[i], flow) for i, flow in enumerate(flows)]
    _arrive(story, one_meter, *rows)
    decided = now + HOUR
    Engine(story.database).run_once(decided)
    raised, cleared = _told(story)
    assert raised == ("raise", now + MINUTE, came[1], decided, False)
    assert cleared == ("clear", now + 4 * MINUTE, came[4], decided, False)


def test_an_escalation_is_decided_by_the_reading_that_was_worse(story, one_meter, now):
    engine = Engine(story.database)
    for minute, flow in enumerate([170.0, 171.0, 200.0, 100.0]):
        _arrive(story, one_meter, (now + minute * MINUTE, now + minute * MINUTE + HOUR, flow))
    engine.run_once(now + 2 * HOUR)
    _arrive(story, one_meter, *((now + m * MINUTE, now + m * MINUTE + HOUR, 170.0) for m in (4, 5)))
    engine.run_once(now + 3 * HOUR)
    _arrive(
        story,
        one_meter,
        *((now + m * MINUTE, now + m * MINUTE + HOUR, f) for m, f in ((6, 165.0), (7, 220.0))),
    )
    engine.run_once(now + 4 * HOUR)
    assert [told[:3] for told in _told(story)] == [
        ("raise", now, now + HOUR),
        ("clear", now + 3 * MINUTE, now + 3 * MINUTE + HOUR),
        ("reactivate", now + 4 * MINUTE, now + 4 * MINUTE + HOUR),
        ("update", now + 4 * MINUTE, now + 7 * MINUTE + HOUR),
    ]


def test_a_rule_over_time_is_decided_later_than_the_onset_it_finds(story, make_meter, now):
    key = story.register(make_meter("M1", interval_s=600))["M1"]
    engine = Engine(story.database)
    for quarter in range(8):
        story.arrive(key, now + quarter * 15 * MINUTE, MINUTE, flow_m3h=[50.0], volume_m3=[1000.0])
        engine.run_once(now + quarter * 15 * MINUTE)
    [row] = story.ask(
        "SELECT journal.* FROM alarm_journal AS journal JOIN alarm USING (alarm_id) "
        "WHERE check_code = 'register_stalled' AND event = 'raise'"
    )
    # It stood still from the beginning; that it did for an hour the fifth reading showed.
    assert (row["event_at"], row["arrived_at"], row["decided_at"]) == (now, now + HOUR, now + HOUR)


def test_a_late_batch_appends_corrections_that_arrived_with_it(story, one_meter, now):
    engine = Engine(story.database)
    for hour, flow in enumerate([100.0, 170.0, 100.0]):
        _arrive(story, one_meter, (now + hour * HOUR, now + hour * HOUR, flow))
        engine.run_once(now + hour * HOUR)
    before = _told(story)
    late, decided = now + 5 * HOUR, now + 6 * HOUR
    _arrive(story, one_meter, (now + HOUR - MINUTE, late, 170.0), (now + HOUR + MINUTE, late, 100.0))
    engine.run_once(decided)
    after = _told(story)
    assert after[: len(before)] == before
    assert after[len(before) :] == [("correct", now + HOUR - MINUTE, late, decided, True)]
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["onset_at"], alarm["ended_at"]) == (now + HOUR - MINUTE, now + HOUR + MINUTE)


def test_what_a_late_batch_shows_first_corrects_what_was_known_of_that_time(story, one_meter, now):
    engine = Engine(story.database)
    _arrive(story, one_meter, (now, now, 100.0), (now + HOUR, now + HOUR, 100.0))
    engine.run_once(now + HOUR)
    _arrive(story, one_meter, (now + MINUTE, now + 2 * HOUR, 170.0), (now + 3 * HOUR, now + 3 * HOUR, 170.0))
    engine.run_once(now + 3 * HOUR)
    assert [(told[0], told[4]) for told in _told(story)] == [
        ("raise", True),
        ("clear", True),
        ("reactivate", False),
    ]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE alarm_journal SET note = 'x'", "DELETE FROM alarm_journal", "TRUNCATE alarm_journal"],
)
def test_the_journal_can_only_be_appended_to(statement, story, one_meter, now):
    _arrive(story, one_meter, (now, now, 170.0))
    Engine(story.database).run_once(now)
    before = _told(story)
    with (
        pytest.raises(StorageError, match="append-only"),
        story.database.transaction() as transaction,
    ):
        transaction.execute(statement)
    assert _told(story) == before


OPEN = tuple(state for state in State if state is not State.CLOSED)


def _known(transaction, known_at, states=tuple(State), at=None):
    wanted = dict.fromkeys(("alarm_id", "check", "severity", "meter_id", "company"))
    wanted |= {"states": [str(state) for state in states], "after": 0, "limit": 10_000}
    wanted |= {"known_at": known_at, "at": at}
    return [{name: row[name] for name in COLUMNS} for row in transaction.rows(SQL["alarms_known"], wanted)]


def _table(transaction):
    rows = transaction.rows(
        "SELECT *, check_code AS check, limit_value AS limit, limit_origin AS limit_from FROM alarm "
        "ORDER BY alarm_id"
    )
    return [{name: row[name] for name in COLUMNS} for row in rows]


#: What happens next: a reading (minutes after the newest one, or before it; flow, battery), the clock,
#: or somebody who acknowledges one of the alarms.
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("reading"),
            st.sampled_from([1, 30, 60, 600, -45, -90]),
            st.sampled_from([0.0, 100.0, 170.0, 172.0, 180.0, 200.0]),
            st.sampled_from([3.6, 3.6, 3.2, 3.0]),
        ),
        st.tuples(st.just("clock")),
        st.tuples(st.just("acknowledge"), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=25,
)


def _do(step, story, key, engine, newest, at):
    """Do one step at a moment of its own; gives the newest device time."""
    if step[0] == "clock":
        engine.run_clock(at)
    elif step[0] == "acknowledge":
        with story.database.transaction() as transaction:
            rows = transaction.rows("SELECT alarm_id FROM alarm ORDER BY alarm_id DESC LIMIT 6")
            if rows:
                acknowledge(transaction, rows[step[1] % len(rows)]["alarm_id"], "wang", at)
    else:
        _, minutes, flow, battery = step
        device_time = newest + minutes * MINUTE
        story.arrive(key, device_time, MINUTE, flow_m3h=[flow], volume_m3=[1000.0], battery_v=[battery])
        engine.run_once(at)
        return max(newest, device_time)
    return newest


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_the_journal_tells_every_moment_as_the_table_showed_it(steps, story, make_meter, now):
    """Whatever was known at each step is told again in the end, and so is what is known now."""
    with story.database.transaction() as transaction:
        number = transaction.rows("SELECT count(*) AS meters FROM meter")[0]["meters"]
    name = f"M{number}"
    key = story.register(make_meter(name, battery_type="lithium_3v6"))[name]
    engine = Engine(story.database)
    with story.database.transaction() as transaction:
        last = transaction.rows("SELECT max(decided_at) AS at FROM alarm_journal")[0]["at"] or now
    snapshots, newest = [], now
    for step in steps:
        last += HOUR
        newest = _do(step, story, key, engine, newest, last)
        with story.database.transaction() as transaction:
            snapshots.append((last, _table(transaction)))
    with story.database.transaction() as transaction:
        for at, table in snapshots:
            assert _known(transaction, at) == table
            assert _known(transaction, at + HOUR - MINUTE) == table
            assert _known(transaction, at, OPEN) == [row for row in table if row["state"] in OPEN]
        for known_at, _ in snapshots[-3:]:
            for at in (now + hours * HOUR for hours in range(12)):
                held = _held(transaction, known_at, at)
                assert [row["alarm_id"] for row in _known(transaction, known_at, at=at)] == held


def _held(transaction, known_at, at):
    """Go through the whole journal for the alarms whose condition held at a moment, as it was known."""
    spans, withdrawn = {}, set()
    for row in transaction.rows("SELECT * FROM alarm_journal ORDER BY journal_id"):
        if row["decided_at"] > known_at:
            continue
        mine = spans.setdefault(row["alarm_id"], [])
        if row["event"] in ("raise", "reactivate"):
            mine.append(None)
        mine[-1] = (row["onset_at"], row["ended_at"])
        if row["late_until"] is not None:
            mine.insert(0, (row["event_at"], row["late_until"]))
        if row["event"] == "withdraw":
            withdrawn.add(row["alarm_id"])
    return sorted(
        alarm_id
        for alarm_id, mine in spans.items()
        if alarm_id not in withdrawn and any(a <= at and (b is None or at < b) for a, b in mine)
    )


@pytest.mark.usefixtures("one_meter")
def test_a_past_moment_is_told_without_going_through_every_alarm(story, now):
    """Of 20,000 alarms, each open for an hour, one was open at the moment, and one held then."""
    with story.database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO alarm (company, meter_key, check_code, severity, state, onset_at, ended_at, raised_at, "
            "closed_at, readings, part) SELECT company, meter_key, 'oil_overdue', 'minor', 'closed', begin, "
            "begin + interval '20 minutes', begin, begin + interval '50 minutes', 1, 0 FROM meter, "
            "generate_series(%(now)s - interval '19999 hours', %(now)s, interval '1 hour') AS begin",
            {"now": now},
        )
        told = (
            "INSERT INTO alarm_journal (alarm_id, event, from_state, to_state, event_at, decided_at, actor, "
            "severity, onset_at, ended_at, occurrences, readings, part) SELECT alarm_id, {}, {}, {}, onset_at, "
            "{}, 'engine', severity, onset_at, {}, 1, 1, 0 FROM alarm"
        )
        transaction.execute(told.format("'raise'", "NULL", "'active_unacked'", "raised_at", "NULL"))
        transaction.execute(told.format("'clear'", "'active_acked'", "'closed'", "closed_at", "ended_at"))
        transaction.execute("ANALYZE alarm, alarm_journal")
    moment = now - 9_000 * HOUR + 10 * MINUTE
    for states, at, found in ((OPEN, None, 1), (tuple(State), moment, 1), (OPEN, moment + 30 * MINUTE, 0)):
        wanted = dict.fromkeys(("alarm_id", "check", "severity", "meter_id", "company"))
        wanted |= {"states": [str(state) for state in states], "after": 0, "limit": 100}
        wanted |= {"known_at": moment if at is None else now + HOUR, "at": at}
        with story.database.transaction() as transaction:
            assert len(transaction.rows(SQL["alarms_known"], wanted)) == found
            [plan] = transaction.rows("EXPLAIN (ANALYZE, FORMAT JSON) " + SQL["alarms_known"], wanted)
        assert max(_touched(plan["QUERY PLAN"][0]["Plan"])) <= 10


def _touched(node):
    """How many rows each part of a plan gave or threw away."""
    yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for part in node.get("Plans", ()):
        yield from _touched(part)


def test_an_acknowledgement_is_known_from_its_moment_on(story, one_meter, now):
    _arrive(story, one_meter, (now, now, 170.0))
    Engine(story.database).run_once(now)
    [alarm] = story.alarms()
    with story.database.transaction() as transaction:
        done = acknowledge(transaction, alarm["alarm_id"], "wang", now + HOUR)
        assert isinstance(done, Acknowledged)
        assert [row["acknowledged_by"] for row in _known(transaction, now + HOUR - MINUTE)] == [None]
        assert [row["acknowledged_by"] for row in _known(transaction, now + HOUR)] == ["wang"]
        assert _known(transaction, now - MINUTE) == []
