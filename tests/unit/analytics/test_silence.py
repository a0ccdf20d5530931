from __future__ import annotations

import numpy as np

from analytics.episodes import ONGOING_US
from analytics.pipeline import evaluate, evaluate_clock, initial_state, silence_horizon_us
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

HOUR_US = 3_600_000_000


def test_silence_by_hand(judge):
    # An hourly reporter: silent after three hours. The limit itself is no silence.
    case = judge(minutes=[0, 60, 60, 120, 300, 481, 500, 900], temperature_c=[20] * 8)
    assert case.flags("meter_silent") == "uggggSgS"
    assert case.episodes("meter_silent") == [(480, 481, 0, 10860), (680, 900, 0, 24000)]


def test_a_fast_reporter_has_the_floor(judge):
    case = judge(meter={"interval_s": 60}, minutes=[0, 15, 30.1], flow_m3h=[1, 1, 1])
    assert case.flags("meter_silent") == "ugS"


def test_silence_says_nothing_of_the_flow(judge):
    case = judge(minutes=[0, 60, 1000], flow_m3h=[0, 0, 0], volume_m3=[1, 1, 1])
    assert case.found == {"meter_silent"}


def _fleet(meter, last_h: list[float], received_h: list[float]):
    table = MeterTable.build([meter(meter_id=f"m{n}") for n in range(len(last_h))])
    state = initial_state(len(last_h))
    heard = [n for n, h in enumerate(last_h) if h is not None]
    batch = ReadingBatch.build(
        meter_key=heard,
        device_time_us=[int(last_h[n] * HOUR_US) for n in heard],
        received_us=[int(received_h[n] * HOUR_US) for n in heard],
        flow_m3h=[1.0] * len(heard),
    )
    return table, evaluate(batch, table, state).state


def _silent(table, state, now_h: float):
    now_us = int(now_h * HOUR_US)
    return evaluate_clock(table, state, now_us, silence_horizon_us(now_us, state))


def test_a_single_silent_meter_is_found(meter):
    table, state = _fleet(meter, [1000, 1000, 990, None], [1000, 1000, 990, None])
    found = _silent(table, state, 1001)
    assert found.meter_key.tolist() == [2]
    assert found.started_us.tolist() == [993 * HOUR_US]
    assert found.ended_us.tolist() == [ONGOING_US]
    assert found.value.tolist() == [11 * 3600]
    assert found.limit.tolist() == [3 * 3600]


def test_a_backlog_makes_nobody_silent(meter):
    # Received just now, but of ten days ago: everybody is that late.
    table, state = _fleet(meter, [760, 761, 762], [1000, 1000, 1000])
    assert len(_silent(table, state, 1001)) == 0


def test_when_nothing_comes_at_all_everybody_is_silent(meter):
    table, state = _fleet(meter, [1000, 1000], [1000, 1000])
    assert len(_silent(table, state, 1002.9)) == 0
    assert _silent(table, state, 1003.1).meter_key.tolist() == [0, 1]


def test_a_meter_that_was_never_heard_is_skipped(meter):
    table, state = _fleet(meter, [None, None], [None, None])
    assert len(_silent(table, state, 1_000_000)) == 0


def test_a_clock_that_runs_ahead_does_not_move_the_horizon_past_now(meter):
    _, state = _fleet(meter, [5000, 1000], [1000, 1000])
    assert silence_horizon_us(1001 * HOUR_US, state).tolist() == [1001 * HOUR_US] * 2


def test_the_horizon_of_no_meters():
    assert silence_horizon_us(5, initial_state(0)).shape == (0,)
    assert np.asarray(silence_horizon_us(5, initial_state(1))).tolist() == [5]


def test_a_meter_that_is_sending_its_backlog_is_not_silent(meter):
    # The second meter's news is ten hours older than the fleet's, and came this very second.
    table, state = _fleet(meter, [1000, 990], [1000, 1000])
    assert len(_silent(table, state, 1000)) == 0
    # It stopped sending half an hour ago, ten hours behind the others.
    table, state = _fleet(meter, [1000, 990], [1000, 999.5])
    assert _silent(table, state, 1000).meter_key.tolist() == [1]
