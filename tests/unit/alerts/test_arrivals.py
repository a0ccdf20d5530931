"""Which reading's arrival decided: one hour of two meters, worked by hand."""

from __future__ import annotations

import numpy as np

from alerts.arrivals import arrivals
from alerts.pieces import evaluate_again
from analytics.checks import CHECKS, LOOKING_AHEAD
from analytics.episodes import ONGOING_US
from analytics.pipeline import evaluate, initial_state
from fleet.checks import BY_CODE, BY_NUMBER
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch
from tests.property.histories import TABLE, eventful_batch

MINUTE_US = 60_000_000
#: Two meters, ten readings each, 160 m³/h at most; reading i of meter 5 arrives at 100 + i, of meter 9 at 200 + i.
FLOWS = {
    5: [100, 170, 175, 200, 100, 100, 165, 166, 100, 170],
    9: [170, 170, 100, 100, 100, 100, 100, 100, 100, 230],
}


def _readings(flows=FLOWS):
    parts = [
        ReadingBatch.build(
            meter_key=np.full(len(row), key),
            device_time_us=np.arange(len(row)) * MINUTE_US,
            received_us=np.arange(len(row)) + (100 if key == 5 else 200),
            flow_m3h=row,
        )
        for key, row in flows.items()
    ]
    return ReadingBatch.concatenate(parts)


def _table(make_meter):
    return MeterTable.build([make_meter("a"), make_meter("b")], keys=[5, 9])


def test_beginning_worst_flag_and_end_each_have_their_reading(make_meter):
    readings = _readings()
    done = evaluate(readings, _table(make_meter), initial_state(2))
    when = arrivals(readings, done)
    columns = (done.episodes.meter_key, when.began_us, when.failed_us, when.ended_us, when.newest_us)
    over_range = done.episodes.check == BY_CODE["flow_over_range"].number
    rows = zip(*(column[over_range] for column in columns), strict=True)
    assert [tuple(map(int, row)) for row in rows] == [
        (5, 101, 103, 104, 109),
        (5, 106, ABSENT, 108, 109),
        (5, 109, ABSENT, ABSENT, 109),
        (9, 200, ABSENT, 202, 209),
        (9, 209, 209, ABSENT, 209),
    ]


def test_in_pieces_it_is_the_same(make_meter):
    """An hour between readings: each is a piece of its own, with a state to keep before it."""
    readings = _readings()
    readings.device_time_us[:] *= 60
    table = _table(make_meter)
    whole = evaluate(readings, table, initial_state(2))
    told, state, kept = evaluate_again(readings, table, initial_state(2))
    assert state.tobytes() == whole.state.tobytes()
    assert len(kept) >= 4
    expected = arrivals(readings, whole)
    found = sorted(_rows(told.episodes, told.arrivals))
    assert found == sorted(_rows(whole.episodes, expected))


def _rows(episodes, when):
    columns = (
        episodes.meter_key,
        episodes.started_us,
        episodes.ended_us,
        episodes.readings,
        when.began_us,
        when.ended_us,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_what_no_reading_touched_since_is_still_told(make_meter):
    table = _table(make_meter)
    began = _readings({5: [170], 9: [100]})
    before = evaluate(began, table, initial_state(2)).state
    later = ReadingBatch.build(
        meter_key=[5, 9], device_time_us=[MINUTE_US] * 2, received_us=[300, 301], battery_v=[3.6] * 2
    )
    told, _, _ = evaluate_again(later, table, before)
    [at] = np.flatnonzero(told.episodes.check == BY_CODE["flow_over_range"].number)
    row = told.episodes.take(np.array([at]))
    assert (row.meter_key.tolist(), row.ended_us.tolist()) == ([5], [ONGOING_US])
    assert (row.started_us.tolist(), row.value.tolist()) == ([0], [170.0])


def test_the_checks_that_look_ahead_are_those_that_call_a_sample_bad_when_the_next_one_came():
    """Over all checks: fed one by one, a sample of theirs, and of no other check, is revised to bad."""
    batch, state, late = eventful_batch(8), initial_state(len(TABLE)), set()
    for at in range(len(batch)):
        done = evaluate(batch.take(np.array([at])), TABLE, state)
        state = done.state
        bad = np.isin(done.revised.flag, [Flag.SUSPECT, Flag.FAIL])
        late |= {BY_NUMBER[int(number)].code for number in done.revised.check[bad]}
    # It waits only at a rise that may be a misread register, and decides at the sample itself else.
    assert late - {"flow_over_range_sustained"} == LOOKING_AHEAD
    assert all(set(check.looks_ahead) <= set(check.codes) for check in CHECKS)


#: Eight days between two samples, and the next register sample is the last but one reading: (hour, volume).
EXCHANGE = [(0, 5000.0), (1, 5001.0), (2, 5002.0), (194, 3.0), (195, np.nan), (196, 4.0), (197, 5.0)]


def test_an_exchange_was_known_when_the_next_register_sample_had_come(make_meter):
    hour, volume = (np.array(column) for column in zip(*EXCHANGE, strict=True))
    readings = ReadingBatch.build(
        meter_key=np.zeros(len(hour)),
        device_time_us=hour * 60 * MINUTE_US,
        received_us=np.arange(len(hour)) + 100,
        volume_m3=volume,
        temperature_c=np.full(len(hour), 20.0),
    )
    done = evaluate(readings, MeterTable.build([make_meter("a")]), initial_state(1))
    [at] = np.flatnonzero(done.episodes.check == BY_CODE["meter_exchanged"].number)
    when = arrivals(readings, done)
    assert (when.began_us[at], when.ended_us[at]) == (105, 105)
