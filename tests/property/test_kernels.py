"""The five kernels against a slow second opinion, and cut at every kind of place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.kernels.block import CHECKS, SPIKE, Judged, Limits
from analytics.kernels.columns import Carried, five_checks, judge_in_blocks

SECOND_US = 1_000_000
NAN = float("nan")
GOOD, UNKNOWN, SUSPECT, FAIL, MISSING = 1, 2, 3, 4, 9
METERS = 3

#: (seconds since the reading before, value); few values, so that ties and edges are common.
_reading = st.tuples(
    st.sampled_from([0, 1, 2, 3, 7, 20]), st.sampled_from([0.0, 0.5, 1.0, 1.25, 1.5, 4.0, 12.0, NAN])
)
_histories = st.lists(st.lists(_reading, max_size=25), min_size=METERS, max_size=METERS)
_limit = st.sampled_from([0.0, 0.5, 1.0, 3.0, float("inf"), NAN])
_window = st.sampled_from([1.0, 3.0, 5.0, 9.0, float("inf"), NAN])


@dataclass
class Case:
    row: np.ndarray
    time_us: np.ndarray
    value: np.ndarray
    limits: Limits

    def __len__(self):
        return len(self.row)


@st.composite
def cases(draw):
    histories = draw(_histories)
    row = np.repeat(np.arange(METERS), [len(h) for h in histories]).astype(np.int32)
    time_us = [np.cumsum([s for s, _ in h]) * SECOND_US + 10**15 for h in histories]
    value = [v for h in histories for _, v in h]

    def pair(one):
        pairs = [sorted(draw(st.tuples(one, one))) for _ in range(METERS)]
        return np.array(pairs).T if draw(st.booleans()) else pairs[0]

    (rate, fail_rate), (spike, fail_spike), (high, fail_high) = pair(_limit), pair(_limit), pair(_limit)
    (flat, fail_flat), (gap, fail_gap) = pair(_window), pair(_window)
    limits = Limits(
        low=0.25, fail_low=0.0, high=high, fail_high=fail_high, rate_per_s=rate, fail_rate_per_s=fail_rate,
        spike=spike, fail_spike=fail_spike, flat_us=np.multiply(flat, SECOND_US),
        fail_flat_us=np.multiply(fail_flat, SECOND_US), flat_tolerance=draw(st.sampled_from([0.0, 0.5, 1.0])),
        gap_us=np.multiply(gap, SECOND_US), fail_gap_us=np.multiply(fail_gap, SECOND_US),
    )  # fmt: skip
    times = np.concatenate(time_us).astype(np.int64) if row.size else np.empty(0, np.int64)
    return Case(row, times, np.array(value, dtype=float), limits)


def slow(case: Case) -> np.ndarray:
    """Judge reading by reading, as the rules are worded."""
    flags = np.full((len(CHECKS), len(case)), GOOD, dtype=np.uint8)
    for meter in range(METERS):
        rows = np.flatnonzero(case.row == meter)
        limits = case.limits.take(np.array([meter]))
        limit = {name: np.ravel(getattr(limits, name))[0] for name in Limits.__dataclass_fields__}
        _slow_meter(flags, rows, case.time_us, case.value, limit)
    return flags


def _slow_meter(flags, rows, time_us, value, limit):
    samples = []
    for r in rows:
        v = value[r]
        bounds = [limit[n] for n in ("low", "high", "fail_low", "fail_high")]
        flags[0, r] = MISSING if np.isnan(v) else UNKNOWN if np.isnan(bounds).any() else (
            FAIL if v < bounds[2] or v > bounds[3] else SUSPECT if v < bounds[0] or v > bounds[1] else GOOD)  # fmt: skip
        before = r - 1 if r > rows[0] else None
        flags[4, r] = _above(
            None if before is None else time_us[r] - time_us[before], limit["gap_us"], limit["fail_gap_us"]
        )
        if np.isnan(v):
            flags[1:4, r] = MISSING
        elif samples and time_us[r] == time_us[samples[-1]]:
            flags[1:4, r] = UNKNOWN
        else:
            samples.append(r)
    for at, r in enumerate(samples):
        rate = None
        if at:
            b = samples[at - 1]
            rate = abs(value[r] - value[b]) / ((time_us[r] - time_us[b]) / 1e6)
        flags[1, r] = _above(rate, limit["rate_per_s"], limit["fail_rate_per_s"])
        off = None
        if 0 < at < len(samples) - 1:
            off = abs(value[r] - (value[samples[at - 1]] + value[samples[at + 1]]) / 2)
        flags[2, r] = _above(off, limit["spike"], limit["fail_spike"])
        flags[3, r] = _flat(samples[: at + 1], time_us, value, limit)


def _above(size, limit, fail):
    if size is None or np.isnan(limit) or np.isnan(fail):
        return UNKNOWN
    return FAIL if size > fail else SUSPECT if size > limit else GOOD


def _flat(samples, time_us, value, limit):
    if np.isnan(limit["flat_us"]) or np.isnan(limit["fail_flat_us"]):
        return UNKNOWN
    out = GOOD
    for window, flag in ((limit["flat_us"], SUSPECT), (limit["fail_flat_us"], FAIL)):
        old = [s for s in samples if time_us[samples[-1]] - time_us[s] >= window]
        if len(samples) < 2 or not old:
            continue
        held = value[samples[samples.index(old[-1]) :]]
        if held.max() - held.min() <= limit["flat_tolerance"]:
            out = flag
    return out


def streamed(case: Case, cuts: list[np.ndarray], block: int) -> np.ndarray:
    """Judge in runs, each with some of each meter's readings, and put the flags together."""
    flags = np.zeros((len(CHECKS), len(case)), dtype=np.uint8)
    carried = Carried.nothing(METERS)
    last_sample = np.full(METERS, -1)
    for rows in cuts:

        def keep(judged: Judged, rows=rows) -> None:
            flags[:, rows[judged.start : judged.stop]] = judged.flags
            for meter, at, flag in zip(judged.late_meter, judged.late_at, judged.late_flag, strict=True):
                place = rows[at] if at >= 0 else last_sample[meter]
                assert flags[SPIKE, place] == UNKNOWN
                flags[SPIKE, place] = flag

        carried = judge_in_blocks(
            case.row[rows], case.time_us[rows], case.value[rows], case.limits, carried, keep, block
        )
        for r in rows:
            if flags[1, r] != MISSING and _is_sample(case, r):
                last_sample[case.row[r]] = r
    return flags


def _is_sample(case, r):
    earlier = [
        s for s in range(r)
        if case.row[s] == case.row[r] and case.time_us[s] == case.time_us[r] and not np.isnan(case.value[s])
    ]  # fmt: skip
    return not np.isnan(case.value[r]) and not earlier


@settings(max_examples=150)
@given(cases())
def test_the_kernels_say_what_the_rules_say(case):
    found = five_checks(case.row, case.time_us, case.value, case.limits, METERS)
    wanted = slow(case)
    for at, check in enumerate(CHECKS):
        assert found[at].tolist() == wanted[at].tolist(), check


@settings(max_examples=150)
@given(cases(), st.data())
def test_cutting_a_history_anywhere_gives_the_same_flags(case, data):
    cut = [sorted(data.draw(st.lists(st.integers(0, 25), max_size=3))) for _ in range(METERS)]
    nth = np.arange(len(case)) - np.searchsorted(case.row, case.row)
    run = np.array([np.searchsorted(cut[m], k, side="right") for m, k in zip(case.row, nth, strict=True)])
    cuts = [np.flatnonzero(run == r) for r in range(4)]
    block = data.draw(st.integers(1, 30))
    whole = five_checks(case.row, case.time_us, case.value, case.limits, METERS)
    assert streamed(case, cuts, block).tolist() == whole.tolist()


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
@pytest.mark.parametrize("each", [1, 2, 5])
def test_a_flat_line_is_found_however_many_runs_and_blocks_it_goes_through(tolerance, each):
    rng = np.random.default_rng(each)
    n = 240
    value = np.cumsum(rng.choice([0.0, 0.25, -0.25, 4.0], n, p=[0.8, 0.09, 0.09, 0.02]))
    value[rng.random(n) < 0.05] = NAN
    time_us = 10**15 + np.cumsum(rng.integers(1, 4, n)) * SECOND_US
    limits = Limits(flat_us=15.0 * SECOND_US, fail_flat_us=25.0 * SECOND_US, flat_tolerance=tolerance)
    case = Case(np.zeros(n, dtype=np.int32), time_us, value, limits)
    wanted = slow(case)
    assert {GOOD, SUSPECT, FAIL, MISSING} == set(wanted[CHECKS.index("flat_line")].tolist())
    cuts = np.split(np.arange(n), range(each, n, each))
    assert streamed(case, cuts, 3).tolist() == wanted.tolist()
    assert streamed(case, [np.arange(n)], 7).tolist() == wanted.tolist()
