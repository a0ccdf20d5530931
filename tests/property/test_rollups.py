"""Roll-ups are a monoid: however a history is cut and its pieces are merged, the rows are those of the whole."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.rollups.columns import HourRollups
from analytics.rollups.hours import first_use_us, hour_rollups
from analytics.rollups.merge import coarser, day_rollups, merge
from analytics.rollups.periods import Granularity
from analytics.rollups.volumes import Volumes, period_volumes
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.readings import ABSENT, ReadingBatch

#: Two hours before Berlin's clocks go back.
START_US = 1_698_530_400_000_000
MINUTE_US = 60_000_000
ZONES = [ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")]
NAN = float("nan")
METERS = [
    Meter(
        meter_id=name,
        company="c",
        customer=name,
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
        qmax=16,
        interval_s=900,
        register_digits=4,
        register_step=step,
    )
    for name, step in (("a", 1.0), ("b", 0.1))
]
TABLE = MeterTable.build(METERS, keys=[3, 7])
#: Sums of doubles depend on the order of adding; everything else is exact.
ROUNDED = {
    "flow_sum",
    "pressure_sum",
    "temperature_sum",
    "balance_spent",
    "balance_added",
    "spent_volume",
    "added_volume",
}

READING = st.fixed_dictionaries(
    {
        "meter_key": st.sampled_from([3, 7]),
        "after_min": st.sampled_from([0, 0, 1, 15, 15, 30, 60, 240, 1500]),
        "rise": st.sampled_from([0, 0, 0.5, 1.25, 7.1, 30, -5, 9900]),
        "kind": st.sampled_from(["both", "both", "volume", "std", "none", "unfilled", "dropout", "zeros"]),
        "flow_m3h": st.sampled_from([NAN, 0, 1.1, 8, 17.3]),
        "balance": st.sampled_from([NAN, 300, 50.5, 10, 0, -1.2]),
        "battery_v": st.sampled_from([NAN, 3.6, 3.2]),
        "lag_min": st.sampled_from([-1, 0, 5, 600]),
    }
)
HISTORY = st.lists(READING, max_size=40)


def _row(seq: int, reading: dict, time_us: int, register: float) -> dict:
    kind = reading["kind"]
    row = {
        "meter_key": reading["meter_key"],
        "device_time_us": time_us,
        "seq": seq,
        "received_us": time_us + reading["lag_min"] * MINUTE_US,
        "volume_m3": register if kind in ("both", "volume") else NAN,
        "std_volume_m3": 2 * register if kind in ("both", "std", "unfilled") else NAN,
        "pressure_kpa": 105.3,
        "temperature_c": 19.7,
        **{name: reading[name] for name in ("flow_m3h", "balance", "battery_v")},
    }
    if kind == "unfilled":
        row["volume_m3"] = 0.0
    elif kind == "dropout":
        row |= {"volume_m3": 0.0, "pressure_kpa": 0.0, "temperature_c": 0.0}
    elif kind == "zeros":
        row |= {
            "volume_m3": 0.0,
            "pressure_kpa": NAN,
            "temperature_c": NAN,
            "flow_m3h": 0.0,
            "battery_v": NAN,
        }
    return row


def _batch(history: list[dict]) -> ReadingBatch:
    """Make a sorted history; each meter's register moves on its own and rolls over at 10,000."""
    time_us = dict.fromkeys((3, 7), START_US)
    register = {3: 9995.5, 7: 0.0}
    rows = []
    for seq, reading in enumerate(history):
        key = reading["meter_key"]
        time_us[key] += reading["after_min"] * MINUTE_US
        register[key] = (register[key] + reading["rise"]) % 10_000
        rows.append(_row(seq, reading, time_us[key], register[key]))
    if not rows:
        return ReadingBatch.empty()
    return ReadingBatch.build(**{n: [row[n] for row in rows] for n in rows[0]}).sorted_by_meter_and_time()


def _pieces(batch: ReadingBatch, cuts: list[int], zone: ZoneInfo) -> list[HourRollups]:
    """Roll up each piece by itself, told only since when a register was above 0."""
    borders = [0, *sorted(cut % (len(batch) + 1) for cut in cuts), len(batch)]
    used_since_us = np.full(len(TABLE), ABSENT)
    pieces = []
    for start, stop in pairwise(borders):
        part = batch.take(slice(start, stop))
        pieces.append(hour_rollups(part, TABLE, zone, used_since_us=used_since_us.copy()))
        keys, since_us = first_use_us(part)
        at = TABLE.rows_of(keys)
        used_since_us[at] = np.where(used_since_us[at] == ABSENT, since_us, used_since_us[at])
    return pieces


def _same(found: HourRollups, expected: HourRollups) -> None:
    for name in HourRollups.__dataclass_fields__:
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype, name
        if name in ROUNDED:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


@settings(max_examples=100)
@given(HISTORY, st.lists(st.integers(0, 40), max_size=6), st.lists(st.integers(0, 9)), st.sampled_from(ZONES))
def test_any_cut_and_any_order_of_merging_neighbours_gives_the_rows_of_the_whole(
    history: list[dict], cuts: list[int], order: list[int], zone: ZoneInfo
) -> None:
    batch = _batch(history)
    whole = hour_rollups(batch, TABLE, zone)
    pieces = _pieces(batch, cuts, zone)
    for at in [*order, *range(len(pieces))]:
        if len(pieces) > 1:
            left = at % (len(pieces) - 1)
            pieces[left : left + 2] = [merge(HourRollups.concatenate(pieces[left : left + 2]), TABLE)]
    _same(merge(HourRollups.concatenate(pieces), TABLE), whole)


@settings(max_examples=100)
@given(HISTORY, st.lists(st.integers(0, 40), max_size=6), st.sampled_from(ZONES))
def test_days_of_merged_days_are_days_of_hours(history: list[dict], cuts: list[int], zone: ZoneInfo) -> None:
    """Hours into days into months: the middle step may be taken on pieces, or left out."""
    batch = _batch(history)
    hours = hour_rollups(batch, TABLE, zone)
    days = day_rollups(hours, TABLE, zone)
    parts = [day_rollups(piece, TABLE, zone) for piece in _pieces(batch, cuts, zone)]
    _same(merge(HourRollups.concatenate(parts), TABLE), days)
    months = coarser(hours, zone, Granularity.MONTH, TABLE)
    _same(coarser(days, zone, Granularity.MONTH, TABLE), months)


@settings(max_examples=100)
@given(HISTORY, st.randoms(use_true_random=False), st.sampled_from(ZONES))
def test_order_of_arrival_and_doubles_make_no_difference(
    history: list[dict], random: Random, zone: ZoneInfo
) -> None:
    batch = _batch(history)
    rows = np.arange(len(batch)).tolist() * 2
    random.shuffle(rows)
    _same(
        hour_rollups(batch.take(np.array(rows, dtype=np.intp)), TABLE, zone), hour_rollups(batch, TABLE, zone)
    )


@settings(max_examples=100)
@given(HISTORY, st.sampled_from(ZONES), st.sampled_from(list(Granularity)))
def test_volumes_add_up_to_what_the_register_moved(
    history: list[dict], zone: ZoneInfo, granularity: Granularity
) -> None:
    """Each period ends where the next begins, so the volumes of a meter telescope."""
    hours = hour_rollups(_batch(history), TABLE, zone)
    found = period_volumes(coarser(hours, zone, granularity, TABLE), TABLE)
    assert np.array_equal(np.isnan(found.volume), found.end_us < 0)
    for key in np.unique(found.meter_key).tolist():
        mine = found.take(found.meter_key == key)
        assert np.array_equal(mine.end_us[:-1], mine.begin_us[1:])
        assert np.array_equal(mine.end_register[:-1], mine.begin_register[1:])
        assert (mine.end_us[-1], np.isnan(mine.volume[-1])) == (-1, True)
        moved = mine.begin_register[-1] - mine.begin_register[0]
        turns = (mine.volume[:-1].sum() - moved) / 10_000
        assert turns == pytest.approx(round(turns), abs=1e-6)


@settings(max_examples=100)
@given(HISTORY, st.sampled_from(ZONES), st.sampled_from([Granularity.DAY, Granularity.MONTH]))
def test_volumes_of_hours_add_up_to_those_of_days_and_months(
    history: list[dict], zone: ZoneInfo, granularity: Granularity
) -> None:
    """However much of its register a period uses, and however often that rolls over."""
    rows = hour_rollups(_batch(history), TABLE, zone)
    standard = np.array([False, True])
    hours = period_volumes(rows, TABLE, standard)
    for whole in _periods(period_volumes(coarser(rows, zone, granularity, TABLE), TABLE, standard)):
        inside = (hours.meter_key == whole["meter_key"]) & (hours.begin_us >= whole["begin_us"])
        inside &= hours.begin_us < whole["end_us"]
        assert hours.volume[inside].sum() == pytest.approx(whole["volume"], abs=1e-6)


def _periods(found: Volumes) -> list[dict[str, float]]:
    names = ("meter_key", "begin_us", "end_us", "volume")
    complete = found.complete()
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*(getattr(complete, name).tolist() for name in names), strict=True)
    ]
