"""Merging of roll-ups: pieces of one period into one row, hours into days, days into months."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.rollups.balances import BalancePairs
from analytics.rollups.columns import AMOUNTS, COUNTS, TURNS, HourRollups
from analytics.rollups.groups import Groups
from analytics.rollups.periods import Granularity, begin_us
from analytics.rollups.registers import turns
from analytics.segments import Mask
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT

_TOTALS = ("flow_sum", "pressure_sum", "temperature_sum")
_LEAST = ("flow_min", "battery_min", "battery2_min")
_LATEST = ("battery_last", "battery2_last", "battery_days_last")


def merge(rows: HourRollups, meters: MeterTable) -> HourRollups:
    """Make one row of all those that have the same meter and begin.

    Rule: first and last by time, counts and sums added, least and greatest kept; between the last
    balance of a row and the first of the next lies one more interval, and between their registers
    one more step, which may be a roll-over: these are accounted for here.
    So the rows of adjacent pieces of a history are a monoid: merged in any order of neighbours, and
    with `HourRollups.empty()` as the neutral element, they are the rows of the whole, sums of
    snapshots and amounts up to the rounding of a double.

    Parameters
    ----------
    rows
        In any order; those of one meter and begin must not overlap in time. Where one ends at the
        very time at which another begins they are taken in the order given.
    meters
        As in `analytics.rollups.hours.hour_rollups`.

    """
    if len(rows) == 0:
        return rows
    rows = rows.take(np.lexsort((rows.last_us, rows.first_us, rows.begin_us, rows.meter_key)))
    heads = np.append(True, (np.diff(rows.meter_key) != 0) | (np.diff(rows.begin_us) != 0))
    if heads.all():
        return rows
    whole = Groups.of(heads)
    columns: dict[str, NDArray[Any]] = {
        name: getattr(rows, name)[whole.first] for name in ("meter_key", "begin_us", "first_us")
    }
    columns["last_us"] = rows.last_us[whole.last]
    columns["lag_min_us"] = whole.reduce(np.minimum, rows.lag_min_us)
    columns |= {name: whole.reduce(np.add, getattr(rows, name)) for name in COUNTS}
    for name in _TOTALS:
        columns[name] = _reduced(rows, heads, np.add, name)
    for name in _LEAST:
        columns[name] = _reduced(rows, heads, np.minimum, name)
    columns["flow_max"] = _reduced(rows, heads, np.maximum, "flow_max")
    for name in _LATEST:
        picked = Groups.of(heads, ~np.isnan(getattr(rows, name)))
        columns[name] = picked.spread(len(whole.group), getattr(rows, name)[picked.last], np.nan)
    columns |= _ends(rows, heads, "register") | _ends(rows, heads, "std_register")
    columns |= _ends(rows, heads, "balance", ("", "_register", "_standard"))
    columns |= {name: _turns(rows, heads, whole, meters, name) for name in TURNS}
    columns |= _amounts(rows, heads, whole, meters)
    return HourRollups.build(len(whole.group), **columns)


def coarser(
    rows: HourRollups,
    zone: ZoneInfo,
    granularity: Granularity,
    meters: MeterTable,
) -> HourRollups:
    """Roll rows up into longer periods of local time: hours into days, days into months."""
    if len(rows) == 0:
        return rows
    return merge(replace(rows, begin_us=begin_us(rows.begin_us, zone, granularity)), meters)


def day_rollups(hours: HourRollups, meters: MeterTable, zone: ZoneInfo) -> HourRollups:
    """Roll hours up into local days; a row where the day has at least one hour."""
    return coarser(hours, zone, Granularity.DAY, meters)


def _reduced(rows: HourRollups, heads: Mask, how: np.ufunc, name: str) -> NDArray[np.float64]:
    values = getattr(rows, name)
    picked = Groups.of(heads, ~np.isnan(values))
    return picked.spread(int(heads.sum()), picked.reduce(how, values), np.nan)


def _ends(
    rows: HourRollups, heads: Mask, name: str, parts: tuple[str, ...] = ("",)
) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    picked, size = Groups.of(heads, getattr(rows, f"{name}_first_us") != ABSENT), int(heads.sum())
    for end, at in (("first", picked.first), ("last", picked.last)):
        for part in ("_us", *parts):
            values = getattr(rows, f"{name}_{end}{part}")
            nothing = np.nan if values.dtype == np.float64 else ABSENT
            columns[f"{name}_{end}{part}"] = picked.spread(size, values[at], nothing)
    return columns


def _turns(rows: HourRollups, heads: Mask, whole: Groups, meters: MeterTable, name: str) -> NDArray[np.int32]:
    """Add the roll-overs within the rows, and from each last register to the first of the next row."""
    register = name.removesuffix("_turns")
    first_us, first, last_us, last = (
        getattr(rows, f"{register}_{part}") for part in ("first_us", "first", "last_us", "last")
    )
    before, after = Groups.of(heads, first_us != ABSENT).before()
    turned = turns(
        meters,
        rows.meter_key[after],
        first_us[after] - last_us[before],
        last[before],
        first[after],
        np.full(len(after), register == "std_register"),
    )
    within = whole.reduce(np.add, getattr(rows, name))
    np.add.at(within, (np.cumsum(heads) - 1)[after], turned)
    return within


def _amounts(
    rows: HourRollups, heads: Mask, whole: Groups, meters: MeterTable
) -> dict[str, NDArray[np.float64]]:
    """Add what lies within the rows, and the interval from each balance to that of the next row."""
    picked = Groups.of(heads, rows.balance_first_us != ABSENT)
    before, after = picked.before()
    pairs = BalancePairs(
        meter_key=rows.meter_key[after],
        elapsed_us=rows.balance_first_us[after] - rows.balance_last_us[before],
        change=rows.balance_first[after] - rows.balance_last[before],
        before_m3=rows.balance_last_register[before],
        after_m3=rows.balance_first_register[after],
        before_standard=rows.balance_last_standard[before] == 1,
        after_standard=rows.balance_first_standard[after] == 1,
    )
    between = pairs.account(meters, (np.cumsum(heads) - 1)[after], len(whole.group))
    return {name: whole.reduce(np.add, getattr(rows, name)) + between[name] for name in AMOUNTS}
