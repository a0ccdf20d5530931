"""Roll-ups from readings: one row per meter and local hour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.data.dropout import blanked_in_use, dropout, registers
from analytics.rollups.balances import BalancePairs
from analytics.rollups.columns import HourRollups
from analytics.rollups.groups import Groups
from analytics.rollups.periods import Granularity, begin_us
from analytics.rollups.registers import turns
from analytics.segments import Mask, Segments
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch

_Columns = dict[str, NDArray[Any]]

_NEVER_US = np.iinfo(np.int64).max
#: Readings that are rolled up together.
_PART_READINGS = 32_768


def hour_rollups(
    readings: ReadingBatch,
    meters: MeterTable,
    zone: ZoneInfo,
    used_since_us: NDArray[np.int64] | None = None,
) -> HourRollups:
    """Roll readings up into one row per meter and local hour with at least one frame.

    Rule: the columns of `HourRollups`, each from its own frames alone; nothing is integrated and
    nothing reaches over the border of an hour. Of two frames of one meter, time and `seq` the first
    in the batch counts, as in the database; frames of one time and different `seq` all count.

    Parameters
    ----------
    readings
        In any order, n of them; every `meter_key` in `meters`. No readings give no rows.
    meters
        Shape (m,), sorted by number; their limits say what a roll-over of the register may be.
    zone
        Local time of the meters' company.
    used_since_us
        Shape (m,): time of the meter's first reading with a register above 0 among those that come
        before these, ABSENT where there is none, which tells some dropout frames (see
        `analytics.data.dropout.blanked_in_use`); None for a whole history.

    Returns
    -------
    HourRollups
        Sorted by meter and hour. Units as there.

    """
    batch = _in_order(readings)
    return HourRollups.concatenate(
        [_hours(batch.take(part), meters, zone, used_since_us) for part in _parts(batch.meter_key)]
    )


def _in_order(readings: ReadingBatch) -> ReadingBatch:
    """Sort, and keep the first of each meter, time and `seq`; what is in order already is not copied."""
    keys, times = readings.meter_key, readings.device_time_us
    risen = (keys[1:] > keys[:-1]) | ((keys[1:] == keys[:-1]) & (times[1:] > times[:-1]))
    return readings if risen.all() else readings.sorted_by_meter_and_time().without_repeats()


def _parts(meter_key: NDArray[np.int32]) -> Iterator[slice]:
    """Cut between meters, into parts that the processor's cache holds."""
    borders = np.append(np.flatnonzero(np.diff(meter_key, prepend=-1)), len(meter_key))
    start = 0
    while start < len(meter_key):
        after = np.searchsorted(borders, start, side="right")
        stop = int(borders[max(after, np.searchsorted(borders, start + _PART_READINGS, side="right") - 1)])
        yield slice(start, stop)
        start = stop


def _hours(
    batch: ReadingBatch, meters: MeterTable, zone: ZoneInfo, used_since_us: NDArray[np.int64] | None
) -> HourRollups:
    row = meters.rows_of(batch.meter_key)
    hour_us = begin_us(batch.device_time_us, zone, Granularity.HOUR)
    heads = np.append(True, (row[1:] != row[:-1]) | (hour_us[1:] != hour_us[:-1]))
    whole = Groups.of(heads)
    in_use = _in_use(batch, meters, hour_us, whole.first, used_since_us)
    blank = blanked_in_use(batch, Segments.of(np.cumsum(heads) - 1), in_use, dropout(batch))
    volume_m3, std_volume_m3 = registers(batch, blank, meters.register_step_m3[row])
    columns = _frames(batch, blank, heads, whole)
    columns |= {"meter_key": batch.meter_key[whole.first], "begin_us": hour_us[whole.first]}
    for name, values in (("register", volume_m3), ("std_register", std_volume_m3)):
        columns |= _ends(batch, heads, values, name)
        columns[f"{name}_turns"] = _turns(batch, heads, values, meters, standard=name == "std_register")
    columns |= _snapshots(batch, heads, ~blank)
    standard = np.isnan(volume_m3)
    register_m3 = np.where(standard, std_volume_m3, volume_m3)
    columns |= _balance(batch, heads, register_m3, standard, meters)
    columns |= _batteries(batch, heads, ~blank)
    return HourRollups.build(len(whole.group), **columns)


def first_use_us(readings: ReadingBatch) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Find for each meter the time of its first reading with a register above 0: (meters, times)."""
    used = readings.take((readings.volume_m3 > 0) | (readings.std_volume_m3 > 0))
    keys, at = np.unique(used.meter_key, return_inverse=True)
    first_us = np.full(len(keys), _NEVER_US)
    np.minimum.at(first_us, at, used.device_time_us)
    return keys, first_us


def _in_use(
    batch: ReadingBatch,
    meters: MeterTable,
    hour_us: NDArray[np.int64],
    first: NDArray[np.intp],
    used_since_us: NDArray[np.int64] | None,
) -> NDArray[np.void]:
    """Tell of each hour, by its first row, whether a register of the meter was above 0 before it."""
    state = np.zeros(len(first), dtype=[("in_use", np.bool_)])
    if not np.any(np.isnan(batch.pressure_kpa) & ((batch.volume_m3 == 0) | (batch.std_volume_m3 == 0))):
        # No frame of which only history tells whether it was blanked.
        return state
    mine_us = np.full(len(meters), _NEVER_US)
    keys, since_us = first_use_us(batch)
    mine_us[meters.rows_of(keys)] = since_us
    row = meters.rows_of(batch.meter_key[first])
    state["in_use"] = mine_us[row] < hour_us[first]
    if used_since_us is not None:
        before_us = np.where(used_since_us == ABSENT, _NEVER_US, used_since_us)
        state["in_use"] |= before_us[row] <= batch.device_time_us[first]
    return state


def _frames(batch: ReadingBatch, blank: Mask, heads: Mask, whole: Groups) -> _Columns:
    size = len(whole.group)
    dropouts = Groups.of(heads, blank)
    lag_us = batch.received_us - batch.device_time_us
    return {
        "readings": whole.count(),
        "dropouts": dropouts.spread(size, dropouts.count(), 0),
        "first_us": batch.device_time_us[whole.first],
        "last_us": batch.device_time_us[whole.last],
        "lag_min_us": whole.reduce(np.minimum, lag_us),
    }


def _ends(batch: ReadingBatch, heads: Mask, values: NDArray[np.float64], name: str) -> _Columns:
    """Keep the first and the last value that is reported, with its time."""
    picked, size = Groups.of(heads, ~np.isnan(values)), int(heads.sum())
    columns: _Columns = {}
    for end, rows in (("first", picked.first), ("last", picked.last)):
        columns[f"{name}_{end}_us"] = picked.spread(size, batch.device_time_us[rows], ABSENT)
        columns[f"{name}_{end}"] = picked.spread(size, values[rows], np.nan)
    return columns


def _turns(
    batch: ReadingBatch, heads: Mask, values: NDArray[np.float64], meters: MeterTable, *, standard: bool
) -> NDArray[np.int32]:
    """Count the roll-overs from each value that is reported to the next of its hour."""
    before, after = Groups.of(heads, ~np.isnan(values)).before()
    turned = turns(
        meters,
        batch.meter_key[after],
        batch.device_time_us[after] - batch.device_time_us[before],
        values[before],
        values[after],
        np.full(len(after), standard),
    )
    counted = np.zeros(int(heads.sum()), dtype=np.int32)
    there = np.flatnonzero(turned)
    np.add.at(counted, (np.cumsum(heads) - 1)[after[there]], turned[there])
    return counted


def _snapshots(batch: ReadingBatch, heads: Mask, valid: Mask) -> _Columns:
    columns: _Columns = {}
    size = int(heads.sum())
    names = {"flow": batch.flow_m3h, "pressure": batch.pressure_kpa, "temperature": batch.temperature_c}
    for name, values in names.items():
        picked = Groups.of(heads, valid & ~np.isnan(values))
        columns[f"{name}_n"] = picked.spread(size, picked.count(), 0)
        columns[f"{name}_sum"] = picked.spread(size, picked.reduce(np.add, values), np.nan)
        if name == "flow":
            columns["flow_min"] = picked.spread(size, picked.reduce(np.minimum, values), np.nan)
            columns["flow_max"] = picked.spread(size, picked.reduce(np.maximum, values), np.nan)
    return columns


def _balance(
    batch: ReadingBatch, heads: Mask, register_m3: NDArray[np.float64], standard: Mask, meters: MeterTable
) -> _Columns:
    shown = ~np.isnan(batch.balance) & ~np.isnan(register_m3)
    columns = _ends(batch, heads, np.where(shown, batch.balance, np.nan), "balance")
    picked, size = Groups.of(heads, shown), int(heads.sum())
    for end, rows in (("first", picked.first), ("last", picked.last)):
        columns[f"balance_{end}_register"] = picked.spread(size, register_m3[rows], np.nan)
        columns[f"balance_{end}_standard"] = picked.spread(size, standard[rows].astype(np.int32), ABSENT)
    before, after = picked.before()
    pairs = BalancePairs(
        meter_key=batch.meter_key[after],
        elapsed_us=batch.device_time_us[after] - batch.device_time_us[before],
        change=batch.balance[after] - batch.balance[before],
        before_m3=register_m3[before],
        after_m3=register_m3[after],
        before_standard=standard[before],
        after_standard=standard[after],
    )
    return columns | pairs.account(meters, (np.cumsum(heads) - 1)[after], size)


def _batteries(batch: ReadingBatch, heads: Mask, valid: Mask) -> _Columns:
    columns: _Columns = {}
    size = int(heads.sum())
    names = {"battery": batch.battery_v, "battery2": batch.battery2_v, "battery_days": batch.battery_days}
    for name, values in names.items():
        picked = Groups.of(heads, valid & ~np.isnan(values))
        columns[f"{name}_last"] = picked.spread(size, values[picked.last], np.nan)
        if name != "battery_days":
            columns[f"{name}_min"] = picked.spread(size, picked.reduce(np.minimum, values), np.nan)
    return columns
