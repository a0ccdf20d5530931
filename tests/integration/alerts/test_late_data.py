"""However late readings come, alarms and carried state are those of one pass over them in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import work
from alerts.alarms.case import CORRECTION, LAST_CORRECTED
from alerts.alarms.model import RANK
from alerts.alarms.sensors import SEVERAL
from alerts.checkpoints import Kept, newest_before, save_kept
from alerts.engine import Engine
from alerts.ladder import RUNGS_H
from alerts.meter_cache import MeterCache
from alerts.packed import pack
from analytics.pipeline import evaluate, initial_state
from fleet.checks import Severity
from fleet.policy import DEFAULT_POLICY, Policy
from fleet.policy_file import read_policies
from fleet.readings import ABSENT, ReadingBatch
from fleet.times import to_us
from storage.policies import append_policy
from storage.readings import READING_COLUMN_LIST, decode_readings
from tests.property.histories import CHOICES, METERS, POLICY, START_US, columns

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NUMBERS = count()
#: What `POLICY` says, as a document.
DOCUMENT = "[default]\n" + "".join(
    f"{name} = {getattr(POLICY, name)}\n"
    for name in Policy.__dataclass_fields__
    if repr(getattr(POLICY, name)) != repr(getattr(DEFAULT_POLICY, name))
)

#: Gaps of days besides, so that checkpoints lie between what several sensors of one alarm say.
READING = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(values) for name, values in CHOICES.items()},
        "after_min": st.sampled_from([*CHOICES["after_min"], 3000]),
    }
)
HISTORY = st.lists(READING, min_size=1, max_size=40)

#: How many places later a reading arrives than it was taken.
LATENESS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 3, 10, 40])
#: How many readings one ingest transaction holds, and which engine looks at what is there (none: nobody).
BATCHES = st.lists(st.tuples(st.integers(1, 6), st.sampled_from([None, 0, 1])), min_size=1, max_size=25)


@pytest.fixture
def short_limits(story, now):
    """The database says what `POLICY` says."""
    assert read_policies(DOCUMENT).policies().default == POLICY
    with story.database.transaction() as transaction:
        append_policy(transaction, "default", DOCUMENT, "test", now, now - timedelta(days=365))


def _readings(history, start_us):
    """The readings of a history, from `start_us` on."""
    batch = ReadingBatch.build(**columns(3, history))
    return replace(batch, device_time_us=batch.device_time_us - START_US + start_us)


def _drain(engine, now):
    cycles = []
    while (cycle := engine.run_once(now)).claimed:
        cycles.append(cycle)
    return cycles


def _feed(story, engines, key, readings, lateness, batches, now):
    """Let readings arrive late, in batches, with engines at work between them."""
    order = np.argsort(np.arange(len(readings)) + np.resize(lateness, len(readings)), kind="stable")
    at = turn = 0
    while at < len(order):
        size, engine = batches[turn % len(batches)]
        part = readings.take(order[at : at + size])
        story.arrive_batch(replace(part, meter_key=np.full(len(part), key, np.int32)), now)
        if engine is not None:
            engines[engine].run_once(now + turn * MINUTE)
        at, turn = at + size, turn + 1
    _drain(engines[0], now + turn * MINUTE)


def _alarms(story, key):
    rows = story.ask("SELECT * FROM alarm WHERE meter_key = %(key)s ORDER BY alarm_id", key=key)
    return {row["check_code"]: row for row in rows if row["state"] != "closed"}


def _state(story, key):
    [row] = story.ask("SELECT state FROM meter_state WHERE meter_key = %(key)s", key=key)
    return bytes(row["state"])


def _ends_with_a_correction(story, alarm, note):
    [row] = story.ask(
        "SELECT event, note FROM alarm_journal WHERE alarm_id = %(id)s ORDER BY journal_id DESC LIMIT 1",
        id=alarm["alarm_id"],
    )
    return (row["event"], row["note"]) == ("correct", note)


def _times(story, alarm):
    """Which of an alarm's times one pass gives as well."""
    # Its last occurrence was refuted: it tells the one before as it was told then.
    if _ends_with_a_correction(story, alarm, CORRECTION):
        return []
    # What one sensor shows late is joined to the last two occurrences, and to no more of them.
    if alarm["check_code"] in SEVERAL and _ends_with_a_correction(story, alarm, LAST_CORRECTED):
        return ["ended_at"]
    return ["onset_at", "ended_at"]


def _assert_equal(story, late, whole):
    assert set(late) == set(whole)
    for check, alarm in whole.items():
        names = ["state", *_times(story, late[check])]
        # One alarm of several sensors shows the figures of one of them.
        if check not in SEVERAL and names[-1] != "state":
            # What goes on is told to a fiftieth of its value, and what is over exactly.
            names += ["limit_value", "limit_origin", *(["readings", "value"] if alarm["ended_at"] else [])]
        assert [late[check][n] for n in names] == [alarm[n] for n in names], check
        assert RANK[Severity(late[check]["severity"])] <= RANK[Severity(alarm["severity"])], check


def _register_two(story):
    number = next(NUMBERS)
    names = [f"late{number}", f"whole{number}"]
    keys = story.register(*(replace(METERS[0], meter_id=name) for name in names))
    return [keys[name] for name in names]


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=HISTORY, lateness=st.lists(LATENESS, min_size=1, max_size=40), batches=BATCHES)
@pytest.mark.usefixtures("short_limits")
def test_late_readings_end_in_what_one_pass_in_order_says(history, lateness, batches, story, now):
    late, whole = _register_two(story)
    readings = _readings(history, to_us(now - 90 * 24 * HOUR))
    engines = [
        Engine(story.database, rows_per_cycle=rows, readings_per_cycle=most)
        for rows, most in ((2, 0), (5, 200))
    ]
    _feed(story, engines, late, readings, lateness, batches, now)
    story.arrive_batch(replace(readings, meter_key=np.full(len(readings), whole, np.int32)), now)
    _drain(Engine(story.database), now + 24 * HOUR)
    assert _state(story, late) == _state(story, whole)
    _assert_equal(story, _alarms(story, late), _alarms(story, whole))


def _hourly(story, make_meter, now, flows, **fields):
    """An hourly meter whose readings are evaluated one by one; gives its number and the engine."""
    key = story.register(make_meter("M1", **fields))["M1"]
    engine = Engine(story.database)
    for hour, flow in enumerate(flows):
        story.arrive(key, now + hour * HOUR, MINUTE, flow_m3h=[flow])
        engine.run_once(now + hour * HOUR)
    return key, engine


def _checkpoints(story, key):
    return story.ask("SELECT * FROM meter_checkpoint WHERE meter_key = %(key)s ORDER BY through", key=key)


def test_a_late_reading_is_evaluated_from_the_checkpoint_before_it(story, make_meter, now):
    key, engine = _hourly(story, make_meter, now, [100.0] * 48)
    story.arrive(key, now + 45 * HOUR + MINUTE, MINUTE, flow_m3h=[170.0])
    cycle = engine.run_once(now + 48 * HOUR)
    assert (cycle.reevaluated, cycle.from_start) == (1, 0)
    assert cycle.readings <= 8
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["onset_at"], alarm["ended_at"]) == (now + 45 * HOUR + MINUTE, now + 46 * HOUR)


def test_few_checkpoints_are_kept_and_those_after_a_late_reading_are_written_anew(story, make_meter, now):
    key, engine = _hourly(story, make_meter, now, [100.0] * 100)
    kept = {row["through"]: bytes(row["state"]) for row in _checkpoints(story, key)}
    assert len(RUNGS_H) < len(kept) <= 2 * len(RUNGS_H)
    at = max(through for through in kept if through < now + 60 * HOUR) + MINUTE
    story.arrive(key, at, MINUTE, flow_m3h=[170.0])
    engine.run_once(now + 100 * HOUR)
    left = {row["through"]: bytes(row["state"]) for row in _checkpoints(story, key)}
    assert any(through > at for through in left)
    assert set(left.values()) - set(kept.values())
    _assert_checkpoints_are_states_of_the_history(story, key, left)


def _assert_checkpoints_are_states_of_the_history(story, key, kept):
    with story.database.transaction() as transaction:
        for through, state in kept.items():
            [(_, packed)] = pack(_state_at(transaction, key, through)[2])
            assert packed.tobytes() == state


def _state_at(transaction, key, through):
    """What one pass over the readings up to a moment carries, to be kept on the lowest rung."""
    keys = np.array([key], dtype=np.int32)
    copied = transaction.copy_out(
        f"COPY (SELECT {READING_COLUMN_LIST} FROM reading WHERE meter_key = {key} "
        "AND device_time <= %(through)s ORDER BY device_time, seq) TO STDOUT (FORMAT binary)",
        {"through": through},
    )
    meters = MeterCache().table(transaction, keys)
    done = evaluate(decode_readings(copied), meters, initial_state(1))
    return keys, np.zeros(1, dtype=np.int16), done.state


def test_a_checkpoint_after_the_late_reading_would_give_another_state(story, make_meter, now, monkeypatch):
    """The guard taken away: the newest checkpoint, wherever it lies."""
    key, engine = _hourly(story, make_meter, now, [100.0] * 12)
    story.arrive(key, now + HOUR + MINUTE, MINUTE, flow_m3h=[170.0])

    def newest(transaction, meter_keys, _before_us):
        return newest_before(transaction, meter_keys, np.full(len(meter_keys), 1 << 52))

    with monkeypatch.context() as patch:
        patch.setattr(work, "newest_before", newest)
        engine.run_once(now + 12 * HOUR)
    assert story.alarms("flow_over_range") == []
    story.arrive(key, now + HOUR + MINUTE, MINUTE, flow_m3h=[170.0])
    engine.run_once(now + 12 * HOUR)
    assert [alarm["ended_at"] for alarm in story.alarms("flow_over_range")] == [now + 2 * HOUR]


@pytest.mark.usefixtures("short_limits")
def test_without_the_guard_the_property_fails(story, now, monkeypatch):
    """A reading that comes last of all and changes what it is taken for is lost with a later checkpoint."""
    usual = {
        "after_min": 60, "rise": 1, "flow": 8, "temperature": 20, "balance": 300, "battery": 3.6,
        "battery2": 6.0, "has": "both", "valve": ABSENT, "status": ABSENT, "ahead_s": -5,
    }  # fmt: skip
    history = [usual] * 3 + [usual | {"flow": 20}] + [usual] * 8
    late, whole = _register_two(story)
    readings = _readings(history, to_us(now - 60 * 24 * HOUR))

    def newest(transaction, meter_keys, _before_us):
        return newest_before(transaction, meter_keys, np.full(len(meter_keys), 1 << 52))

    monkeypatch.setattr(work, "newest_before", newest)
    engines = [Engine(story.database)]
    _feed(story, engines, late, readings, [0, 0, 0, 40] + [0] * 8, [(1, 0)], now)
    story.arrive_batch(replace(readings, meter_key=np.full(len(readings), whole, np.int32)), now)
    _drain(engines[0], now + 24 * HOUR)
    assert set(_alarms(story, late)) != set(_alarms(story, whole))


def test_a_checkpoint_of_another_layout_is_none(story, make_meter, now):
    key, engine = _hourly(story, make_meter, now, [100.0] * 12)
    with story.database.transaction() as transaction:
        transaction.execute("UPDATE meter_checkpoint SET layout = 0")
    story.arrive(key, now + 10 * HOUR + MINUTE, MINUTE, flow_m3h=[170.0])
    cycle = engine.run_once(now + 12 * HOUR)
    assert (cycle.from_start, cycle.readings) == (1, 13)
    assert {row["layout"] for row in _checkpoints(story, key)} != {0}


def test_an_alarm_from_before_the_checkpoint_is_not_withdrawn(story, make_meter, now):
    key, engine = _hourly(story, make_meter, now, [100.0, 170.0] + [100.0] * 40)
    before = story.alarms("flow_over_range")
    story.arrive(key, now + 38 * HOUR + MINUTE, MINUTE, flow_m3h=[100.0])
    assert engine.run_once(now + 42 * HOUR).from_start == 0
    assert story.alarms("flow_over_range") == before


@pytest.mark.parametrize("columns", [{"flow_m3h": [170.0]}, {"temperature_c": [20.0]}])
def test_an_alarm_that_is_open_across_the_checkpoint_goes_on(columns, story, make_meter, now):
    """Even where no reading since the checkpoint says anything of it."""
    key, engine = _hourly(story, make_meter, now, [170.0] * 2)
    for hour in range(2, 20):
        story.arrive(key, now + hour * HOUR, MINUTE, **columns)
        engine.run_once(now + hour * HOUR)
    [before] = story.alarms("flow_over_range")
    story.arrive(key, now + 17 * HOUR + MINUTE, MINUTE, **columns)
    assert engine.run_once(now + 20 * HOUR).from_start == 0
    [alarm] = story.alarms("flow_over_range")
    assert (alarm["state"], alarm["onset_at"], alarm["ended_at"]) == ("active_unacked", now, None)
    assert alarm["limit_value"] == before["limit_value"] == 160.0


#: Name of the meter's fields, and what it shows in an hour: first one sensor or rule, then the other too.
OVERLAPPING = {
    "battery_low": (
        {"battery_type": "lithium_3v6", "battery2_type": "alkaline_6v"},
        lambda hour: {
            "battery_v": 3.2 if 24 <= hour < 240 else 3.6,
            "battery2_v": 4.8 if hour >= 216 else 6.0,
        },
    ),
    "register_stalled": (
        {"prepaid": True, "balance_unit": "m3"},
        lambda hour: {
            # A gap in the snapshots ends what they tell of the register.
            "flow_m3h": 0.0 if hour < 24 else 50.0 if hour < 240 else np.nan if hour < 246 else 0.0,
            "volume_m3": 1000.0 + min(hour, 24),
            "balance": 5000.0 - 5 * max(hour - 215, 0),
        },
    ),
}


@pytest.mark.parametrize("check", OVERLAPPING)
def test_a_late_reading_does_not_move_the_onset_to_that_of_the_sensor_that_is_left(
    check, story, make_meter, now
):
    """One alarm stands for both; by the checkpoint the first one is over."""
    fields, shown = OVERLAPPING[check]
    key = story.register(make_meter("M1", **fields))["M1"]
    engine = Engine(story.database)
    start = now - timedelta(days=40)
    for first in range(0, 288, 12):
        rows = [shown(hour) for hour in range(first, first + 12)]
        columns_ = {name: [row[name] for row in rows] for name in rows[0]}
        story.arrive(key, start + first * HOUR, HOUR, **columns_)
        engine.run_once(start + (first + 12) * HOUR)
    [before] = story.alarms(check)
    journal = story.journal(before["alarm_id"])
    story.arrive(key, start + 284 * HOUR + MINUTE, MINUTE, temperature_c=[20.0])
    assert engine.run_once(start + timedelta(days=13)).from_start == 0
    [after] = story.alarms(check)
    assert (after["onset_at"], after["ended_at"]) == (before["onset_at"], None)
    assert before["onset_at"] < start + 26 * HOUR
    assert story.journal(before["alarm_id"]) == journal


@pytest.mark.parametrize("known", [True, False])
def test_an_alarm_raised_after_the_checkpoint_is_withdrawn_though_its_onset_lies_before(
    known, story, make_meter, now
):
    """A stalled register is dated back to where it stood still; only the readings since said so.

    Where the checkpoint knew the alarm, readings before it stand for it as well as any after.
    """
    key = story.register(make_meter("M1", interval_s=900))["M1"]
    engine = Engine(story.database)
    for quarter in range(8):
        at = now + quarter * 15 * MINUTE
        story.arrive(key, at, MINUTE, flow_m3h=[50.0], volume_m3=[1000.0])
        engine.run_once(at)
    [alarm] = story.alarms("register_stalled")
    with story.database.transaction() as transaction:
        # One checkpoint, taken half an hour after the register stood still and before it was an alarm.
        through = now + 30 * MINUTE
        transaction.execute("DELETE FROM meter_checkpoint")
        save_kept(transaction, [Kept(*_state_at(transaction, key, through))])
        transaction.execute(
            "UPDATE meter_checkpoint SET last_alarm_id = %(id)s", {"id": alarm["alarm_id"] - (not known)}
        )
    for minute in range(31, 105):
        story.arrive(key, now + minute * MINUTE, MINUTE, flow_m3h=[0.0], volume_m3=[1000.0 + minute % 2])
    cycle = Engine(story.database, rows_per_cycle=100).run_once(now + 5 * HOUR)
    assert (cycle.reevaluated, cycle.from_start) == (1, 0)
    assert story.journal(alarm["alarm_id"])[-1] == ("clear" if known else "withdraw")
