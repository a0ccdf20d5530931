"""Where ioos_qc defines the same test its flags are ours, but for what the docstrings say."""

from __future__ import annotations

import numpy as np
import pytest
from ioos_qc import qartod

from analytics.kernels.block import CHECKS, Limits
from analytics.kernels.columns import five_checks

NAN = float("nan")
SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US
GOOD, UNKNOWN, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9


def ours(check: str, seconds, value, **limits):
    time_us = START_US + np.asarray(seconds) * SECOND_US
    value = np.asarray(value, dtype=float)
    row = np.zeros(len(value), dtype=np.int32)
    return five_checks(row, time_us, value, Limits(**limits), 1)[CHECKS.index(check)].tolist()


def theirs(test, *columns, **limits):
    return np.ma.getdata(test(*columns, **limits)).astype(int).tolist()


def times(seconds):
    return (START_US + np.asarray(seconds) * SECOND_US).astype("datetime64[us]")


def series(seed: int, n: int = 400):
    """Values on a grid of 0.1, so that many equal a limit, with stretches that hardly move, 3 % missing."""
    rng = np.random.default_rng(seed)
    step = np.where(rng.random(n) < 0.6, rng.integers(-1, 2, n), rng.integers(-30, 31, n))
    value = np.cumsum(step * (np.arange(n) // 40 % 2 == 0)) / 10
    value[rng.random(n) < 0.03] = NAN
    return np.cumsum(rng.integers(1, 90, n)), value


def beside_missing(value):
    """Say which samples have a missing one directly before, and directly after."""
    missing = np.isnan(value)
    return np.append(False, missing[:-1]), np.append(missing[1:], False)


@pytest.mark.parametrize("seed", range(10))
def test_gross_range_agrees(seed):
    seconds, value = series(seed)
    low, high = np.nanquantile(value, [0.1, 0.9]).round(1)
    found = ours("gross_range", seconds, value, low=low, high=high, fail_low=low - 1, fail_high=high + 1)
    assert found == theirs(
        qartod.gross_range_test, value, suspect_span=(low, high), fail_span=(low - 1, high + 1)
    )
    assert {GOOD, SUSPECT, FAIL, MISSING} == set(found)


@pytest.mark.parametrize("seed", range(10))
def test_rate_of_change_agrees_but_at_the_first_and_after_a_missing_one(seed):
    seconds, value = series(seed)
    found = np.array(ours("rate_of_change", seconds, value, rate_per_s=0.02, fail_rate_per_s=0.1))
    other = np.array(
        theirs(qartod.rate_of_change_test, value, times(seconds), threshold=0.02, fail_threshold=0.1)
    )
    after_missing, _ = beside_missing(value)
    same = ~after_missing
    same[0] = False
    assert found[same].tolist() == other[same].tolist()
    assert {GOOD, SUSPECT, FAIL, MISSING} == set(found[same])


def test_rate_of_change_is_unknown_at_the_first_and_decided_after_a_missing_one():
    value, seconds = [0.0, 1, NAN, 9, 9], [0, 10, 20, 30, 40]
    other = theirs(qartod.rate_of_change_test, value, times(seconds), threshold=0.2)
    assert ours("rate_of_change", seconds, value, rate_per_s=0.2) == [UNKNOWN, GOOD, MISSING, SUSPECT, GOOD]
    assert other == [GOOD, GOOD, MISSING, GOOD, GOOD]


@pytest.mark.parametrize("seed", range(10))
def test_spike_agrees_but_beside_a_missing_one(seed):
    seconds, value = series(seed)
    found = np.array(ours("spike", seconds, value, spike=0.5, fail_spike=1.5))
    other = np.array(theirs(qartod.spike_test, value, suspect_threshold=0.5, fail_threshold=1.5))
    before, after = beside_missing(value)
    same = ~before & ~after
    assert found[same].tolist() == other[same].tolist()
    assert {GOOD, UNKNOWN, SUSPECT, FAIL, MISSING} == set(found)
    assert set(other[~same]) <= {UNKNOWN, MISSING}


def test_spike_looks_past_a_missing_one():
    value = [1.0, 1, NAN, 9, 1, 1]
    other = theirs(qartod.spike_test, value, suspect_threshold=4)
    assert ours("spike", range(6), value, spike=4) == [UNKNOWN, GOOD, MISSING, SUSPECT, GOOD, UNKNOWN]
    assert other == [UNKNOWN, UNKNOWN, MISSING, UNKNOWN, GOOD, UNKNOWN]


@pytest.mark.parametrize("seed", range(10))
def test_flat_line_agrees_on_even_samples(seed):
    _, value = series(seed)
    value = value[~np.isnan(value)]
    seconds = 60 * np.arange(len(value))
    # On a grid of 0.1 a range below 0.25 is one within 0.2.
    limits = {"flat_us": 300 * SECOND_US, "fail_flat_us": 900 * SECOND_US, "flat_tolerance": 0.25}
    found = ours("flat_line", seconds, value, **limits)
    other = theirs(
        qartod.flat_line_test,
        value,
        times(seconds),
        suspect_threshold=300,
        fail_threshold=900,
        tolerance=0.25,
    )
    assert found == other
    assert {GOOD, SUSPECT, FAIL} == set(found)


def test_flat_line_is_a_matter_of_time_and_not_of_the_median_interval():
    # Ten minutes are to pass. The median interval is a minute, so ten samples pass for them.
    dense = [0, 60, 120, *(120 + np.arange(1, 9)), *range(180, 600, 60)]
    value = [3.0] * len(dense)
    found = ours("flat_line", dense, value, flat_us=600 * SECOND_US)
    other = theirs(
        qartod.flat_line_test, value, times(dense), suspect_threshold=600, fail_threshold=6000, tolerance=0.1
    )
    assert set(found) == {GOOD}, "nothing is known for ten minutes"
    assert SUSPECT in other


def test_flat_line_within_0_means_equal_and_passes_over_a_missing_one():
    value, seconds = [3.0, 3, NAN, 3, 3, 3], [0, 60, 120, 180, 240, 300]

    def other(tolerance: float):
        return theirs(
            qartod.flat_line_test, value, times(seconds),
            suspect_threshold=180, fail_threshold=600, tolerance=tolerance,
        )  # fmt: skip

    found = ours("flat_line", seconds, value, flat_us=180 * SECOND_US)
    assert found == [GOOD, GOOD, MISSING, SUSPECT, SUSPECT, SUSPECT]
    assert set(other(0)) == {GOOD, MISSING}


def test_an_infinite_value_is_out_of_range_and_not_missing():
    value = [1.0, float("inf"), -float("inf")]
    assert ours("gross_range", range(3), value, fail_low=0.0, fail_high=5.0) == [GOOD, FAIL, FAIL]
    assert theirs(qartod.gross_range_test, value, fail_span=(0, 5)) == [GOOD, FAIL, FAIL]
