"""Volumes of hours, days and months, from the register alone; and the figures beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Floats
from analytics.rollups.columns import HourRollups
from analytics.rollups.periods import Granularity, end_us
from analytics.rollups.registers import over_turns, turns
from analytics.segments import Mask
from fleet.columns import Columns
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volumes(Columns):
    """n periods with their volumes as arrays of shape (n,), sorted by meter and period.

    Times are microseconds since 1970 UTC, registers and volumes m³.
    """

    meter_key: NDArray[np.int32]
    #: Instant at which the local period begins.
    period_us: NDArray[np.int64]
    #: The period's own first reading of the register: its device time, and what it showed.
    begin_us: NDArray[np.int64]
    begin_register: Floats
    #: The first reading of the register in the next period that has one; ABSENT and NaN, as is the
    #: volume, where there is none yet.
    end_us: NDArray[np.int64]
    end_register: Floats
    volume: Floats
    #: Whether the register is the one at standard conditions.
    standard: Mask

    def complete(self) -> Self:
        """Leave out each meter's last period, whose end is not known yet."""
        return self.take(self.end_us != ABSENT)

    def mean_m3h(self) -> Floats:
        """Give the mean flow between the two readings, m³/h; NaN where there is no volume."""
        mean: Floats = self.volume / ((self.end_us - self.begin_us) / US_PER_H)
        return mean


def period_volumes(rows: HourRollups, meters: MeterTable, standard: Mask | None = None) -> Volumes:
    """Work out the volume of each period in which a register was read.

    Rule: the register at the first reading of the next period that has one, minus the register at
    the period's own first reading; both times are kept, since neither need be near the border. The
    difference is that of the written numbers, to the last digit. Each time that the register rolled
    over from one reading to the next adds its top. One that falls otherwise gives a negative volume,
    and one that was misread or exchanged a meaningless one, which the checks of the register speak of.
    Dropout frames have no register. Which register: the working one; the one at standard conditions
    at a meter whose working one never shows more than 0 in these rows while the standard one does.

    Parameters
    ----------
    rows
        Roll-ups of hours, of days or of months, sorted by meter and begin.
    meters
        As in `analytics.rollups.hours.hour_rollups`.
    standard
        Shape (m,): which meters' standard register counts, where these rows are only a part of the
        history; None to judge by them.

    """
    uses = _uses_standard(rows, meters) if standard is None else standard
    standard = uses[meters.rows_of(rows.meter_key)]
    time_us, register, last_us, last, turned = (
        np.where(standard, getattr(rows, f"std_register_{part}"), getattr(rows, f"register_{part}"))
        for part in ("first_us", "first", "last_us", "last", "turns")
    )
    at = np.flatnonzero(time_us != ABSENT)
    keys, time_us, register, standard = rows.meter_key[at], time_us[at], register[at], standard[at]
    following = np.append(keys[1:] == keys[:-1], False)[: len(at)]
    end_time_us = np.where(following, np.roll(time_us, -1), ABSENT)
    end_register = np.where(following, np.roll(register, -1), np.nan)
    turned = turned[at] + turns(meters, keys, end_time_us - last_us[at], last[at], end_register, standard)
    return Volumes(
        meter_key=keys,
        period_us=rows.begin_us[at],
        begin_us=time_us,
        begin_register=register,
        end_us=end_time_us,
        end_register=end_register,
        volume=over_turns(meters, keys, register, end_register, turned),
        standard=standard,
    )


def reception(
    rows: HourRollups, meters: MeterTable, zone: ZoneInfo, granularity: Granularity
) -> NDArray[np.float64]:
    """Give frames heard in each period against those that the meter's interval asks for, shape (n,).

    1 is all of them; more where a meter reports more often than the registry says.
    """
    length_us = end_us(rows.begin_us, zone, granularity) - rows.begin_us
    interval_s = meters.interval_s[meters.rows_of(rows.meter_key)]
    share: NDArray[np.float64] = rows.readings * (interval_s * US_PER_S) / length_us
    return share


def _uses_standard(rows: HourRollups, meters: MeterTable) -> Mask:
    """Tell of each meter, shape (m,), whether only its standard register is filled in."""
    row = meters.rows_of(rows.meter_key)
    shows = {}
    for name in ("register", "std_register"):
        above = (getattr(rows, f"{name}_first") > 0) | (getattr(rows, f"{name}_last") > 0)
        shows[name] = np.bincount(row[above], minlength=len(meters)) > 0
    uses: Mask = ~shows["register"] & shows["std_register"]
    return uses
