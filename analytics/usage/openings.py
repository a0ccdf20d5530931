"""Registers at the beginnings of hours, and what they moved from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S, Floats
from analytics.register.limits import Rolling
from analytics.rollups.columns import HourRollups
from analytics.segments import Mask
from analytics.usage.calendar import Calendar, Times
from fleet.columns import Columns
from fleet.meter_table import MeterTable

Rows = NDArray[np.intp]

#: A sample this near to the beginning of an hour may open it from before; after it none is nearer.
_NEAR_US = 600 * US_PER_S
#: A sample is taken for misread only by neighbours this near together.
_NEIGHBOURS_US = 2 * US_PER_DAY


@dataclass(frozen=True, slots=True, eq=False)
class Ends(Columns):
    """The first and the last sample of a register in k hours, sorted by meter and hour; shapes (k,)."""

    row: Rows
    hour: Rows
    first_us: Times
    first: Floats
    last_us: Times
    last: Floats

    @classmethod
    def of(cls, rollups: HourRollups, row: Rows, hour: Rows, name: str) -> Self:
        """Take the register `name` ("register" or "std_register") from rows at their places."""
        at = np.flatnonzero(~np.isnan(getattr(rollups, f"{name}_first")))
        parts = ("first_us", "first", "last_us", "last")
        return cls(row[at], hour[at], *(getattr(rollups, f"{name}_{part}")[at] for part in parts))

    def followed(self) -> Mask:
        """Tell which hours have the next one right behind them."""
        out = np.zeros(len(self), dtype=np.bool_)
        out[:-1] = (self.row[1:] == self.row[:-1]) & (self.hour[1:] == self.hour[:-1] + 1)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Openings:
    """k register samples, at most one per meter and hour, sorted by meter and hour; shapes (k,).

    The sample that opens an hour is the first within it; an hour without any is opened by one of
    the last ten minutes before it, so that a meter whose clock is a few seconds fast keeps its hours.
    """

    row: Rows
    hour: Rows
    time_us: Times
    value: Floats

    @classmethod
    def of(cls, ends: Ends, calendar: Calendar, *, nearest: bool = False) -> Self:
        """Choose the samples.

        With `nearest` one of the last ten minutes before an hour goes before a first one within it
        that comes later than ten minutes after its beginning.
        """
        row, hour, followed = ends.row, ends.hour, ends.followed()
        time_us, value = ends.first_us, ends.first
        close = calendar.hour_us[hour + 1] - ends.last_us <= _NEAR_US
        if nearest:
            distant = ends.first_us - calendar.hour_us[hour] > _NEAR_US
            before = np.flatnonzero((followed & close)[:-1] & distant[1:])
            time_us, value = time_us.copy(), value.copy()
            time_us[before + 1], value[before + 1] = ends.last_us[before], ends.last[before]
        late = np.flatnonzero(~followed & close & (hour + 1 < calendar.hours))
        whole: list[NDArray[Any]] = [
            np.insert(old, late + 1, new[late])
            for old, new in ((row, row), (hour, hour + 1), (time_us, ends.last_us), (value, ends.last))
        ]
        return cls(*whole)


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """What a register moved between neighbouring openings of one meter; shapes (p,)."""

    row: Rows
    #: Hours that the two open, `after > before`.
    before: Rows
    after: Rows
    span_us: Times
    #: m³, NaN where it cannot be known: over a misread sample, a fall, a leap.
    moved_m3: Floats
    #: Whether the register fell for good: another meter, or a reversal.
    broke: Mask

    @classmethod
    def of(cls, opened: Openings, meters: MeterTable, *, standard: bool) -> Self:
        """Subtract neighbours.

        A roll-over is movement. A fall within the register's step is none. A sample that both its
        neighbours, two days apart at most, contradict is misread: what moved before and after it is
        not known, and nothing broke. Any other fall breaks the meter's history. A rise faster than
        `implausible_ratio` Qmax is not known either.
        """
        inner = np.flatnonzero(opened.row[1:] == opened.row[:-1])
        row = opened.row[inner]
        before, after = opened.value[inner], opened.value[inner + 1]
        span_us = opened.time_us[inner + 1] - opened.time_us[inner]
        limits = Rolling.of_meters(meters, row, standard=standard)
        moved = after - before
        rolled = (moved < 0) & limits.rolled(before, after, span_us)
        moved[rolled] += limits.top_m3[rolled]
        fell = moved < -limits.tolerance_m3
        moved[(moved < 0) & ~fell] = 0.0
        misread, broke = _misread(opened, inner, fell, limits.tolerance_m3)
        leapt = moved > limits.fastest * span_us + limits.tolerance_m3
        moved[fell | misread | leapt] = np.nan
        return cls(row, opened.hour[inner], opened.hour[inner + 1], span_us, moved, broke)


def _misread(opened: Openings, inner: Rows, fell: Mask, step: Floats) -> tuple[Mask, Mask]:
    """Mark the moves from and to misread samples, and the falls that broke the history."""
    misread, broke = np.zeros(len(inner), np.bool_), fell.copy()
    # Moves i-1 and i share the sample between them.
    joint = np.flatnonzero(inner[1:] == inner[:-1] + 1) + 1
    outer_us = opened.time_us[inner[joint] + 1] - opened.time_us[inner[joint] - 1]
    near = outer_us <= _NEIGHBOURS_US
    level = opened.value[inner[joint] + 1] >= opened.value[inner[joint] - 1] - step[joint]
    # A spike falls back at its second move, a dip fell at its first.
    shared = near & level & (fell[joint] | fell[joint - 1])
    for side in (joint[shared], joint[shared] - 1):
        misread[side] = True
        broke[side] = False
    return misread, broke
