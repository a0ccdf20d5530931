from __future__ import annotations

import numpy as np
import pytest

from analytics.kernels.block import CHECKS, Limits
from analytics.kernels.borders import Borders
from analytics.kernels.columns import five_checks
from analytics.kernels.flat import Runs, near_before
from analytics.kernels.graded import rate_of_change

NAN, INF = float("nan"), float("inf")
MINUTE_US = 60_000_000


def test_gross_range_by_hand(judge):
    value = [-2, -1, -0.5, 0, 5, 10, 10.5, 12, 13, NAN, INF, -INF]
    found = judge(value, low=0, high=10, fail_low=-1, fail_high=12)
    assert found["gross_range"] == "FSSgggSSF-FF"


def test_rate_of_change_by_hand(judge):
    # Up by 6 in a minute is 0.1 a second; the sample before a missing one is the one before.
    value = [0, 6, 12.5, 12.5, NAN, 24.5, 12, 6, 5, 5, 35]
    found = judge(value, rate_per_s=0.1, fail_rate_per_s=0.2)
    assert found["rate_of_change"] == "ugSg-gFgggF"


def test_spike_by_hand(judge):
    value = [1, 1, 4, 1, 1, NAN, 9, 1, 1, 3, 5, 7]
    found = judge(value, spike=2, fail_spike=5)
    # 4 against 1 and 1; the 1 beside it against 2.5; 9 against 1 and 1; the 1s beside it against 5.
    assert found["spike"] == "ugSgS-FSgggu"


def test_flat_line_by_hand(judge):
    value = [5, 5, 5, 5, 5, NAN, 5, 6, 6, 6, 6, 5]
    found = judge(
        value,
        minutes=[0, 1, 2, 3, 4, 5, 6, 7, 9, 9.5, 10, 11],
        flat_us=3 * MINUTE_US,
        fail_flat_us=5 * MINUTE_US,
    )
    assert found["flat_line"] == "gggSS-FgggSg"


def test_flat_line_within_a_tolerance_by_hand(judge):
    # Each is within 0.2 of the one before all along, but a window of 3 minutes is only at some.
    value = [5.0, 5.1, 5.2, 5.3, 5.3, 5.4, 5.4, 5.5, 5.7, 5.5, 5.6, 5.5]
    found = judge(value, flat_us=3 * MINUTE_US, flat_tolerance=0.2000001)
    assert found["flat_line"] == "ggggSSSSggSS"


def test_a_window_is_a_time_and_no_number_of_samples(judge):
    dense = judge([5] * 8, minutes=[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], flat_us=MINUTE_US)
    sparse = judge([5] * 3, minutes=[0, 30, 60], flat_us=MINUTE_US)
    assert dense["flat_line"] == "gggggggg"
    assert sparse["flat_line"] == "gSS"


def test_time_gap_by_hand(judge):
    found = judge(
        [1, 1, NAN, 1, 1, NAN, 1, 1],
        minutes=[0, 10, 20, 30.1, 30.1, 90, 150.1, 160],
        gap_us=10 * MINUTE_US,
        fail_gap_us=60 * MINUTE_US,
    )
    assert found["time_gap"] == "uggSgSFg"


def test_a_second_reading_of_one_time_cannot_confirm_the_first(judge):
    found = judge(
        [1, 9, 1, 1, 1, 1],
        minutes=[0, 1, 1, 2, 3, 4],
        high=5, rate_per_s=0.1, spike=4, flat_us=2 * MINUTE_US, gap_us=MINUTE_US,
    )  # fmt: skip
    assert found == {
        "gross_range": "gSgggg",
        "rate_of_change": "uSuSgg",
        "spike": "uSuggu",
        "flat_line": "gguggS",
        "time_gap": "uggggg",
    }


def test_a_single_reading_and_one_without_a_value(judge):
    assert set(judge([3], high=5).items()) == {
        ("gross_range", "g"), ("rate_of_change", "u"), ("spike", "u"), ("flat_line", "g"), ("time_gap", "u"),
    }  # fmt: skip
    assert set(judge([NAN], high=5).items()) == {
        ("gross_range", "-"), ("rate_of_change", "-"), ("spike", "-"), ("flat_line", "-"), ("time_gap", "u"),
    }  # fmt: skip


def test_no_reading_at_all(judge):
    assert set(judge([]).values()) == {""}


def test_an_unknown_limit_leaves_its_meter_unknown_and_no_other():
    unknown = np.array([NAN, 1e-9])
    limits = Limits(high=unknown, rate_per_s=unknown, spike=unknown, flat_us=unknown, gap_us=unknown)
    row = np.repeat([0, 1], 3)
    flags = five_checks(row, np.tile(np.arange(3) * MINUTE_US, 2), np.array([1.0, 2, 2, 1, 2, 2]), limits, 2)
    assert flags[:, :3].tolist() == [[2, 2, 2]] * len(CHECKS)
    assert flags[:, 3:].tolist() == [[3, 3, 3], [2, 3, 1], [2, 3, 2], [1, 1, 3], [2, 3, 3]]


@pytest.mark.parametrize("check", CHECKS)
def test_without_limits_nothing_is_found(judge, check):
    found = judge([0, 1e9, 1e9, -1e9], minutes=[0, 1e4, 1e7, 2e7])
    assert set(found[check]) <= {"g", "u"}


def test_each_meter_has_its_limits_and_no_neighbour_in_another():
    row = np.repeat([0, 1], 3)
    value = np.array([0.0, 0, 100, 0, 0, 100])
    limits = Limits(high=np.array([50, 200.0]), rate_per_s=np.array([10.0, 1.0]))
    flags = five_checks(row, np.tile(np.arange(3) * MINUTE_US, 2), value, limits, 2)
    assert flags[0].tolist() == [1, 1, 3, 1, 1, 1]
    assert flags[1].tolist() == [2, 1, 1, 2, 1, 3]


def test_a_rate_over_no_time_is_unknown():
    found = rate_of_change(np.array([NAN, 5, 5]), np.array([NAN, 0, 1e6]), Borders.of(np.zeros(3)), 1.0)
    assert found.dense(3).tolist() == [2, 2, 3]


def test_a_long_time_parts_what_is_near():
    size, elapsed_us = np.array([NAN, 0.0, 0, 0, 1]), np.array([NAN, 10.0, 20, 10, 10])
    assert near_before(size).tolist() == [False, True, True, True, False]
    near = near_before(size, elapsed_us=elapsed_us, gap_us=10)
    assert near.tolist() == [False, True, False, True, False]
    runs = Runs.of(near)
    assert list(zip(runs.begin.tolist(), runs.stop.tolist(), strict=True)) == [(0, 2), (2, 4)]
