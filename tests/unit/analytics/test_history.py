from __future__ import annotations

import numpy as np

from analytics.episodes import ONGOING_US, Episodes
from analytics.history import evaluate_history, joined, newest
from analytics.pipeline import evaluate, initial_state
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

HOUR_US = 3_600_000_000


def _episodes(*rows: tuple) -> Episodes:
    """Make episodes from (meter, check, part, start, end, readings, value, flag)."""
    names = ("meter_key", "check", "part", "started_us", "ended_us", "readings", "value", "flag")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return Episodes.build(limit=20.0, **columns)


def _spans(episodes: Episodes) -> list[tuple]:
    names = ("meter_key", "check", "part", "started_us", "ended_us", "readings", "value", "flag")
    return list(zip(*(getattr(episodes, name).tolist() for name in names), strict=True))


def test_overlapping_episodes_are_joined_by_hand():
    found = joined(
        _episodes(
            (2, 2, 0, 10, 20, 1, 50.0, 3),
            (1, 2, 0, 30, 40, 1, 1.0, 3),
            (1, 2, 0, 10, 35, 2, np.nan, 4),
            (1, 2, 0, 40, 50, 1, 7.0, 3),
            (1, 2, 0, 60, ONGOING_US, 1, 8.0, 3),
            (1, 2, 0, 70, 80, 1, 9.0, 3),
            (1, 3, 0, 15, 90, 1, 5.0, 3),
            (1, 2, 1, 12, 14, 1, 6.0, 3),
        )
    )
    assert _spans(found) == [
        (1, 2, 0, 10, 40, 3, 1.0, 4),
        (1, 2, 1, 12, 14, 1, 6.0, 3),
        (1, 3, 0, 15, 90, 1, 5.0, 3),
        # Touching is not overlapping.
        (1, 2, 0, 40, 50, 1, 7.0, 3),
        (1, 2, 0, 60, ONGOING_US, 2, 9.0, 3),
        (2, 2, 0, 10, 20, 1, 50.0, 3),
    ]


def test_a_long_episode_reaches_over_several_short_ones():
    found = joined(
        _episodes((1, 2, 0, 0, 90, 1, 1.0, 3), (1, 2, 0, 5, 6, 1, 2.0, 3), (1, 2, 0, 80, 85, 1, 3.0, 3))
    )
    assert _spans(found) == [(1, 2, 0, 0, 90, 3, 3.0, 3)]


def test_nothing_joined_is_nothing():
    assert len(joined(Episodes.empty())) == 0
    assert len(newest([])) == 0


def test_the_newest_word_on_an_episode_counts():
    first = _episodes((1, 3, 0, 10, ONGOING_US, 2, 110.0, 3), (1, 3, 0, 5, 6, 1, 101.0, 3))
    second = _episodes((1, 3, 0, 10, 40, 5, 130.0, 4))
    assert _spans(newest([first, second])) == [(1, 3, 0, 5, 6, 1, 101.0, 3), (1, 3, 0, 10, 40, 5, 130.0, 4)]


def test_two_of_one_run_are_never_one():
    first = _episodes((1, 3, 0, 10, 20, 2, 110.0, 3), (1, 3, 0, 10, ONGOING_US, 1, 101.0, 3))
    second = _episodes((1, 3, 0, 10, 40, 5, 130.0, 4), (1, 3, 0, 10, ONGOING_US, 1, 105.0, 3))
    assert sorted(_spans(newest([first, second]))) == [
        (1, 3, 0, 10, 20, 2, 110.0, 3),
        (1, 3, 0, 10, 40, 5, 130.0, 4),
        (1, 3, 0, 10, ONGOING_US, 1, 105.0, 3),
    ]


def _history(keys: list[int], hours: list[int], flow: list[float]) -> ReadingBatch:
    time_us = np.array(hours) * HOUR_US
    return ReadingBatch.build(meter_key=keys, device_time_us=time_us, received_us=time_us, flow_m3h=flow)


def test_a_history_judges_silence_as_of_its_newest_reading(meter):
    table = MeterTable.build([meter(meter_id="a"), meter(meter_id="b")])
    batch = _history([0, 0, 1, 1], [1000, 1001, 1000, 1010], [150, 10, 1, 1])
    found = evaluate_history(batch, table)
    rows = [
        (key, BY_NUMBER[check].code, end == ONGOING_US)
        for key, check, end in zip(
            found.episodes.meter_key.tolist(),
            found.episodes.check.tolist(),
            found.episodes.ended_us.tolist(),
            strict=True,
        )
    ]
    assert rows == [(0, "flow_over_range", False), (0, "meter_silent", True), (1, "meter_silent", False)]
    later = evaluate_history(batch, table, now_us=2000 * HOUR_US)
    assert (later.episodes.ended_us == ONGOING_US).sum() == 2


def test_a_history_of_nothing(meter):
    table = MeterTable.build([meter()])
    assert len(evaluate_history(ReadingBatch.empty(), table).episodes) == 0
    assert len(evaluate_history(ReadingBatch.empty(), MeterTable.build([])).episodes) == 0


def test_evaluation_changes_neither_readings_nor_state(meter):
    table = MeterTable.build([meter()])
    batch = _history([0, 0, 0], [1, 2, 3], [150, 3, 3])
    before = {name: getattr(batch, name).copy() for name in batch.__dataclass_fields__}
    state = initial_state(1)
    carried = evaluate(batch, table, state).state
    kept = carried.tobytes()
    evaluate(_history([0], [4], [150]), table, carried)
    assert state.tobytes() == initial_state(1).tobytes()
    assert carried.tobytes() == kept
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(batch, name), values)


def test_a_meter_without_new_readings_keeps_its_state(meter):
    table = MeterTable.build([meter(meter_id="a"), meter(meter_id="b")])
    state = evaluate(_history([0, 1], [1, 1], [150, 150]), table, initial_state(2)).state
    done = evaluate(_history([1], [2], [10]), table, state)
    assert done.state[0].tobytes() == state[0].tobytes()
    # Only what touches the new reading is told.
    assert done.episodes.meter_key.tolist() == [1]
    assert done.episodes.ended_us.tolist() == [2 * HOUR_US]
