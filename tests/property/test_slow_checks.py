"""Slow checks: judging days in any pieces gives what judging all of them at once gives."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics.episodes import Episodes
from analytics.history import newest
from analytics.rollups.columns import HourRollups
from analytics.rollups.hours import hour_rollups
from analytics.rollups.merge import merge
from analytics.rollups.periods import midnight_us
from analytics.usage.evaluate import LOOKBACK_DAYS, SLOW_CHECKS, SlowEvaluation, evaluate_slow
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.readings import ReadingBatch

HOUR_US = 3_600_000_000
#: Clocks change in one of them within the days below.
ZONES = (ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"))
FIRST = (date(2026, 1, 5) - date(1970, 1, 1)).days
METERS = [
    Meter(
        meter_id=f"m{number}",
        company="c1",
        customer="Hotel",
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
        qmax=100.0,
        qmin=1.0,
        register_step=step,
        register_digits=5,
        interval_s=interval_s,
        prepaid=number % 2 == 0,
        balance_unit="m3",
        battery_type="alkaline_6v",
        installed_on=installed_on,
    )
    for number, (step, interval_s, installed_on) in enumerate(
        [(0.01, 3600, None), (1.0, 3600, date(2026, 3, 1)), (0.01, 14400, None), (0.1, 86400, None)]
    )
]


def fleet(days: int, seed: int, zone: ZoneInfo) -> ReadingBatch:
    """Make histories with everything that a slow check has to bear, or to find."""
    rng = np.random.default_rng(seed)
    parts = [_history(number, days, rng, zone) for number in range(len(METERS))]
    return ReadingBatch.concatenate(parts).sorted_by_meter_and_time()


def _history(number: int, days: int, rng: np.random.Generator, zone: ZoneInfo) -> ReadingBatch:
    every = int(METERS[number].interval_s or 3600) // 3600
    hours = np.arange(days * 24 + 26)
    open_ = (hours % 24 >= 8) & (hours % 24 < 22) & (rng.random() < 0.7)
    use = np.where(open_, rng.choice([0.5, 20.0]) * rng.random(len(hours)), 0.0)
    for _ in range(3):
        begin, end = np.sort(rng.integers(0, len(hours), 2))
        use[begin:end] = use[begin:end] * rng.choice([0.0, 1.0, 3.0, 8.0]) + rng.choice([0.0, 0.0, 0.6])
    total = np.cumsum(use)
    step = METERS[number].register_step or 1.0
    register = (99_000.0 + np.floor(total / step) * step) % 100_000
    factor = np.where(hours > rng.integers(0, len(hours)), 3.0, rng.choice([3.0, 2.5]))
    price = np.where(hours > rng.integers(0, len(hours)), 1.0, rng.choice([1.0, 0.8]))
    balance = 60.0 + 2000.0 * np.floor(hours / 900) - np.cumsum(use * price)
    volts = 6.2 - 0.012 * ((hours / 24) % rng.integers(30, 90))
    if rng.random() < 0.4:
        register[rng.integers(0, len(hours)) :] *= 0.1
    for at in rng.integers(0, len(hours), 2):
        register[at] = rng.choice([0.5, 90_000.0])
    heard = (hours % every == 0) & (rng.random(len(hours)) > rng.choice([0.0, 0.05]))
    for _ in range(3):
        begin = rng.integers(0, len(hours))
        heard[begin : begin + rng.choice([2, 9, 30, 120])] = False
    jitter_us = rng.integers(-5, 600, len(hours)) * 1_000_000 * (rng.random() < 0.5)
    time_us = midnight_us(zone, FIRST) + hours * HOUR_US + jitter_us
    whole = ReadingBatch.build(
        len(hours),
        meter_key=np.full(len(hours), number),
        device_time_us=time_us,
        received_us=time_us,
        seq=hours,
        volume_m3=np.where((number == 1) & (hours > 900), np.nan, register),
        std_volume_m3=500.0 + np.round(np.cumsum(use * factor), 2),
        pressure_kpa=np.full(len(hours), 303.0),
        temperature_c=np.full(len(hours), 18.0),
        flow_m3h=use,
        balance=np.round(balance, 2),
        battery_v=volts,
    )
    return whole.take(heard)


def rows(episodes: Episodes) -> list[tuple]:
    return sorted(
        zip(*(getattr(episodes, name).tolist() for name in Episodes.__dataclass_fields__), strict=True),
        key=repr,
    )


def spoken(evaluations: list[SlowEvaluation]) -> list[tuple]:
    whole = newest([part.episodes for part in evaluations])
    return [tuple(repr(value) for value in row) for row in rows(whole)]


cases = st.tuples(st.integers(35, 80), st.integers(0, 2**32 - 1), st.sampled_from(ZONES))


@settings(max_examples=12)
# A leak, a good day, and the leak again, whose days without rest reach back over the first.
@example(case=(58, 1721432, ZONES[0]), cuts=[28], tight=False)
@given(case=cases, cuts=st.lists(st.integers(1, 79), min_size=1, max_size=2), tight=st.booleans())
def test_days_judged_in_pieces_are_judged_alike(case, cuts: list[int], *, tight: bool) -> None:
    days, seed, zone = case
    table = MeterTable.build(METERS)
    rollups = hour_rollups(fleet(days, seed, zone), table, zone)
    whole = evaluate_slow(rollups, table, zone, FIRST, FIRST + days - 1)
    borders = sorted({0, days, *(cut for cut in cuts if cut < days)})
    parts, carried = [], None
    for begin, end in pairwise(borders):
        from_day, through_day = FIRST + begin, FIRST + end - 1
        seen = rollups
        if tight:
            since_us = midnight_us(zone, from_day - LOOKBACK_DAYS)
            until_us = midnight_us(zone, through_day + 2)
            seen = rollups.take((rollups.begin_us >= since_us) & (rollups.begin_us < until_us))
        part = evaluate_slow(seen, table, zone, from_day, through_day, carried)
        carried = part.open
        parts.append(part)
    for code in SLOW_CHECKS:
        joined = np.concatenate([part.flags[code] for part in parts], axis=1)
        assert np.array_equal(joined, whole.flags[code]), code
    assert spoken(parts) == spoken([whole])
    assert carried is not None
    assert carried.tobytes() == whole.open.tobytes() or repr(carried.tolist()) == repr(whole.open.tolist())


@settings(max_examples=8)
@given(case=cases, data=st.data())
def test_readings_in_any_order_and_pieces_are_judged_alike(case, data) -> None:
    days, seed, zone = case
    table = MeterTable.build(METERS)
    readings = fleet(days, seed, zone)
    piece = np.random.default_rng(data.draw(st.integers(0, 1000))).integers(0, 3, len(readings) // 50 + 1)
    hour_us = readings.device_time_us // HOUR_US
    # What lies in one local hour stays together; that hours can be merged is the roll-ups' own test.
    which = piece[(hour_us % len(piece)).astype(np.intp)]
    whole = evaluate_slow(hour_rollups(readings, table, zone), table, zone, FIRST, FIRST + days - 1)
    parts = [hour_rollups(readings.take(which == number), table, zone) for number in range(3)]
    merged = merge(HourRollups.concatenate(parts), table)
    again = evaluate_slow(merged, table, zone, FIRST, FIRST + days - 1)
    for code in SLOW_CHECKS:
        assert np.array_equal(again.flags[code], whole.flags[code]), code


def test_the_histories_hold_what_is_to_be_found() -> None:
    found: set[str] = set()
    table = MeterTable.build(METERS)
    for seed in range(8):
        rollups = hour_rollups(fleet(80, seed, ZONES[0]), table, ZONES[0])
        flags = evaluate_slow(rollups, table, ZONES[0], FIRST, FIRST + 79).flags
        found |= {code for code, values in flags.items() if np.isin(values, (3, 4)).any()}
    assert found == set(SLOW_CHECKS)


@pytest.mark.parametrize("days", [0, 1])
def test_no_days_and_no_meters_and_no_readings(days: int) -> None:
    for meters in (METERS, []):
        table = MeterTable.build(meters)
        rollups = hour_rollups(ReadingBatch.empty(), table, ZONES[0])
        found = evaluate_slow(rollups, table, ZONES[0], FIRST, FIRST + days - 1)
        assert len(found.episodes) == 0
        assert {flags.shape for flags in found.flags.values()} == {(len(meters), days)}
        assert not np.isin(np.concatenate([f.ravel() for f in found.flags.values()]), (1, 3, 4)).any()
