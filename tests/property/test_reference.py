"""The checks over columns say what slow, obvious loops over single readings say."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.kernels.borders import Borders
from analytics.kernels.flat import Runs, flat_line, near_before
from analytics.pipeline import evaluate, initial_state
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policies import Policies
from fleet.policy import Policy
from fleet.readings import ReadingBatch

NAN = float("nan")
QMAX, STEP, INTERVAL_S = 16.0, 1.0, 900
START_US, MINUTE_US = 1_700_000_000_000_000, 60_000_000
#: Without the guards of `flow_stuck`, which have tests of their own.
POLICY = Policy(stuck_for_s=3600, stuck_fail_for_s=7200, stuck_after_intervals=1.0, stuck_chance=1.0)
METER = Meter(
    meter_id="a",
    company="c",
    customer="a",
    customer_kind="commercial",
    reading_class="daily",
    technology="roots",
    qmax=QMAX,
    qmin=1.6,
    interval_s=INTERVAL_S,
    register_step=STEP,
)
GOOD, UNKNOWN, SUSPECT, FAIL, MISSING = (int(flag) for flag in Flag)

READING = st.tuples(
    st.sampled_from([1, 15, 15, 15, 30, 60]),
    st.sampled_from([NAN, 0.0, 1.0, 1.0, 1.0, 8.0, 15.0, 40.0, 700.0]),
    st.sampled_from([NAN, 0.0, 1.0, 2.0, 2.0, 30.0, 900.0, -5.0, -300.0]),
)
HISTORIES = st.lists(st.lists(READING, max_size=25), min_size=1, max_size=4)


def _evaluate(histories: list[list[tuple]], policy: Policy = POLICY):
    """Run the checks; gives, by meter, its (minutes, flow, register) and its flags by code."""
    rows = []
    for key, history in enumerate(histories):
        minutes, register = 0.0, 1000.0
        for after_min, flow, rise in history:
            minutes += after_min
            register += 0.0 if math.isnan(rise) else rise
            rows.append((key, minutes, flow, NAN if math.isnan(rise) else register))
    columns = np.array(rows, dtype=float).reshape(len(rows), 4)
    batch = ReadingBatch.build(
        len(rows),
        meter_key=columns[:, 0],
        device_time_us=START_US + (columns[:, 1] * MINUTE_US).astype(np.int64),
        flow_m3h=columns[:, 2],
        volume_m3=columns[:, 3],
    )
    table = MeterTable.build([METER] * len(histories), policies=Policies(policy))
    flags = evaluate(batch, table, initial_state(len(histories))).flags
    for key in range(len(histories)):
        mine = columns[:, 0] == key
        yield columns[mine, 1:], {code: flags[code][mine].tolist() for code in flags}


def _grade(value: float, limit: float, fail: float) -> int:
    return FAIL if value > fail else SUSPECT if value > limit else GOOD


def _over_samples(values: list[float], judge) -> list[int]:
    """Judge the values that are there, each by its position among them; the others are MISSING."""
    there = [at for at, value in enumerate(values) if not math.isnan(value)]
    out = [MISSING] * len(values)
    for position, at in enumerate(there):
        out[at] = judge(there, position)
    return out


def _spikes(flow: list[float]) -> list[int]:
    def judge(there: list[int], position: int) -> int:
        if position == 0:
            return UNKNOWN
        up = flow[there[position]] - flow[there[position - 1]]
        if abs(up) <= QMAX / 2:
            return GOOD
        if position == len(there) - 1:
            return UNKNOWN
        down = flow[there[position]] - flow[there[position + 1]]
        if abs(down) <= QMAX / 2 or up * down < 0:
            return GOOD
        return _grade(abs(up + down) / 2, QMAX, 2 * QMAX)

    return _over_samples(flow, judge)


def _rates(minutes: list[float], flow: list[float]) -> list[int]:
    def judge(there: list[int], position: int) -> int:
        if position == 0:
            return UNKNOWN
        this, before = there[position], there[position - 1]
        seconds = max((minutes[this] - minutes[before]) * 60, 60)
        return _grade(abs(flow[this] - flow[before]) / seconds, 0.02 * QMAX, 0.05 * QMAX)

    return _over_samples(flow, judge)


def _jumps(minutes: list[float], register: list[float]) -> list[int]:
    def rise(there: list[int], position: int) -> tuple[float, float]:
        this, before = there[position], there[position - 1]
        can = STEP + 10 * QMAX * (minutes[this] - minutes[before]) / 60
        return register[this] - register[before], can

    def fell_from_no_spike(there: list[int], position: int) -> bool:
        if position < 1 or rise(there, position)[0] >= -STEP:
            return False
        return not spiked(there, position - 1)

    def spiked(there: list[int], position: int) -> bool:
        if position < 1 or position + 1 >= len(there):
            return False
        before, this, after = (register[there[position + step]] for step in (-1, 0, 1))
        hours = (minutes[there[position]] - minutes[there[position - 1]]) / 60
        peak = this - before > STEP + 1.2 * QMAX * hours
        can = STEP + 10 * QMAX * (minutes[there[position + 1]] - minutes[there[position - 1]]) / 60
        return peak and after < this - STEP and -STEP <= after - before <= can

    def judge(there: list[int], position: int) -> int:
        if position == 0:
            return UNKNOWN
        risen, can = rise(there, position)
        came_back = fell_from_no_spike(there, position - 1) and (
            register[there[position]] >= register[there[position - 2]] - STEP
        )
        if risen <= can or came_back:
            return GOOD
        if position == len(there) - 1:
            return UNKNOWN
        return GOOD if spiked(there, position) else FAIL

    return _over_samples(register, judge)


def _under_range(minutes: list[float], flow: list[float]) -> list[int]:
    out, since, last = [], None, None
    for now, value in zip(minutes, flow, strict=True):
        if math.isnan(value):
            out.append(MISSING)
            continue
        gap = last is not None and now - last > 3 * INTERVAL_S / 60
        since = None if not 0 < value < 1.6 else now if since is None or gap else since
        last = now
        out.append(SUSPECT if since is not None and now > since and now - since >= 120 else GOOD)
    return out


@settings(max_examples=100)
@given(HISTORIES)
def test_spikes_rates_jumps_and_under_range_are_those_of_a_loop(histories):
    for columns, flags in _evaluate(histories):
        minutes, flow, register = (columns[:, at].tolist() for at in range(3))
        assert flags["flow_spike"] == _spikes(flow)
        assert flags["flow_rate_of_change"] == _rates(minutes, flow)
        assert flags["register_jump"] == _jumps(minutes, register)
        assert flags["flow_under_range"] == _under_range(minutes, flow)


@settings(max_examples=100)
@given(HISTORIES)
def test_stuck_flow_without_its_guards_is_the_kernels_flat_line(histories):
    without_register = [[(after_min, flow, NAN) for after_min, flow, _ in h] for h in histories]
    for columns, flags in _evaluate(without_register):
        there = ~np.isnan(columns[:, 1])
        time_us, flow = (columns[there, 0] * MINUTE_US).astype(np.int64), columns[there, 1]
        borders = Borders.of(np.zeros(len(flow)))
        near = near_before(
            np.abs(borders.rises(flow)), elapsed_us=borders.elapsed_us(time_us), gap_us=3e6 * INTERVAL_S
        )
        runs = Runs.of(near & (flow > 0))
        found = flat_line(time_us, flow, runs, borders, 3600e6, 7200e6)
        expected = np.full(len(columns), MISSING)
        expected[there] = found.dense(len(flow))
        assert flags["flow_stuck"] == expected.tolist()
