"""Dense grids of use, meters by hours and meters by days, from hourly roll-ups.

What is known of an hour and of a day differs. An hour's flow is known where the register was seen at
both its ends, by the samples nearest to them, or else by the first ones of it and of the next; a slow
reporter (every four hours, daily) and a gap have none, which is NaN and never 0: no data is not no
flow. A day's volume is known where the register was seen on that day and on the next, so a daily
reporter has it, and a gap within the day does not hurt it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, Floats
from analytics.rollups.columns import HourRollups
from analytics.segments import Mask
from analytics.usage.calendar import Calendar
from analytics.usage.openings import Ends, Moves, Openings, Rows
from fleet.meter_table import MeterTable

#: Between the two registers of a known hour, and of a known day, h.
_HOUR_SPAN_H = (0.5, 1.5)
_DAY_SPAN_H = (18.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Use of m meters over the D days and H hours of a calendar.

    The working register is taken, and on days on which a meter reports none the one at standard
    conditions. Only rows within the calendar count.
    """

    calendar: Calendar
    meters: MeterTable
    #: The rows within the calendar, and the place of each: meter, hour, day; shapes (n,).
    rollups: HourRollups
    row: Rows
    hour: Rows
    day: Rows
    #: Shape (m, H): mean flow of the hour by the register, m³/h; NaN where it is not known.
    flow_m3h: Floats
    #: Shape (m, D): volume from the first register of the day to the first of the next, m³.
    volume_m3: Floats
    #: Shape (m, D): how long that was, h; NaN where the volume is not known.
    span_h: Floats
    #: Shape (m, D): whether flow and volume are at standard conditions.
    standard: Mask
    #: What the two registers moved between the openings of hours: the working one, and the standard one.
    moves: tuple[Moves, Moves]
    #: Shape (m, D): number of the meter that hangs there; what an earlier one measured is no history.
    era: NDArray[np.int32]

    @classmethod
    def of(cls, rollups: HourRollups, meters: MeterTable, calendar: Calendar) -> Self:
        """Lay out rows, sorted by meter and hour; every `meter_key` must be in `meters`."""
        hour = calendar.hour_at(rollups.begin_us)
        inside = (hour >= 0) & (hour < calendar.hours)
        if not inside.all():
            rollups, hour = rollups.take(inside), hour[inside]
        row = meters.rows_of(rollups.meter_key)
        shape = (len(meters), calendar.days)
        flow = np.full((len(meters), calendar.hours), np.nan)
        volume, span = np.full(shape, np.nan), np.full(shape, np.nan)
        taken, breaks = np.zeros(shape, np.bool_), np.zeros(shape, np.int32)
        standard = np.zeros(shape, np.bool_)
        found = []
        for name in ("register", "std_register"):
            ends = Ends.of(rollups, row, hour, name)
            moves, nearest = _moves(ends, meters, calendar, standard=name != "register")
            layer = _Layer.of(moves, nearest, calendar, len(meters))
            layer.lay(~taken, flow, volume, span, breaks, calendar)
            standard |= ~taken & layer.seen & (name != "register")
            taken |= layer.seen
            found.append(moves)
        breaks[_installation(meters, calendar)] += 1
        return cls(
            calendar=calendar,
            meters=meters,
            rollups=rollups,
            row=row,
            hour=hour,
            day=calendar.day_of_hour[hour],
            flow_m3h=flow,
            volume_m3=volume,
            span_h=span,
            standard=standard,
            moves=(found[0], found[1]),
            era=np.cumsum(breaks, axis=1, dtype=np.int32),
        )

    def per_day(self, values: NDArray[np.float64] | NDArray[np.int64]) -> Floats:
        """Sum values of the rows, shape (n,), by meter and day, shape (m, D); NaN of a row spreads."""
        return sum_by(self.row, self.day, values, self.volume_m3.shape)

    def by_day(self, how: np.ufunc, values: NDArray[np.float64]) -> Floats:
        """Reduce values of hours, shape (m, H), over each day, shape (m, D)."""
        out: Floats = how.reduceat(values, self.calendar.first_hour, axis=1)
        return out


def sum_by(row: Rows, day: Rows, values: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    """Sum up by meter and day."""
    flat = np.bincount(row * shape[1] + day, weights=values, minlength=shape[0] * shape[1])
    return np.asarray(flat.reshape(shape), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What one of the two registers says of hours and days."""

    #: Those that hours are known by; the later ones where the earlier do not know them.
    moves: tuple[Moves, ...]
    #: Shape (m, D): whether the register was seen on the day.
    seen: Mask
    volume_m3: Floats
    span_h: Floats
    #: Shape (m, D): hour at which the register last broke on that day, -1 for none.
    broke_at: NDArray[np.int64]

    @classmethod
    def of(cls, moves: Moves, nearest: Moves, calendar: Calendar, meters: int) -> Self:
        shape = (meters, calendar.days)
        day, next_day = calendar.day_of_hour[moves.before], calendar.day_of_hour[moves.after]
        seen = np.zeros(shape, np.bool_)
        seen[moves.row, day] = True
        closed = np.zeros(shape, np.bool_)
        closing = next_day == day + 1
        closed[moves.row[closing], day[closing]] = True
        volume = sum_by(moves.row, day, moves.moved_m3, shape)
        span = sum_by(moves.row, day, moves.span_us / US_PER_H, shape)
        unknown = ~closed | (span < _DAY_SPAN_H[0]) | (span > _DAY_SPAN_H[1]) | np.isnan(volume)
        volume[unknown] = span[unknown] = np.nan
        broke_at = np.full(shape, -1, dtype=np.int64)
        at = np.flatnonzero(moves.broke)
        np.maximum.at(broke_at, (moves.row[at], next_day[at]), moves.after[at])
        by = (moves,) if nearest is moves else (nearest, moves)
        return cls(by, seen, volume, span, broke_at)

    def lay(
        self,
        free: Mask,
        flow: Floats,
        volume: Floats,
        span: Floats,
        breaks: NDArray[np.int32],
        calendar: Calendar,
    ) -> None:
        """Write into the grids where nothing stands yet."""
        for moves in self.moves:
            self._lay_hours(moves, free, flow, calendar)
        np.copyto(volume, self.volume_m3, where=free)
        np.copyto(span, self.span_h, where=free)
        breaks += free & (self.broke_at >= 0)

    def _lay_hours(self, moves: Moves, free: Mask, flow: Floats, calendar: Calendar) -> None:
        span_h = moves.span_us / US_PER_H
        known = (moves.after == moves.before + 1) & (span_h >= _HOUR_SPAN_H[0]) & (span_h <= _HOUR_SPAN_H[1])
        # Of a day on which another meter came, what the old one measured does not count.
        day = calendar.day_of_hour[moves.before]
        known &= moves.before >= self.broke_at[moves.row, day]
        known &= free[moves.row, day] & np.isnan(flow[moves.row, moves.before])
        at = np.flatnonzero(known)
        flow[moves.row[at], moves.before[at]] = moves.moved_m3[at] / span_h[at]


def _moves(ends: Ends, meters: MeterTable, calendar: Calendar, *, standard: bool) -> tuple[Moves, Moves]:
    """Give what moved between the first samples of hours, and between those nearest their beginnings.

    Days and exchanges go by the former, which know every sample that opens an hour. By them alone a
    meter that reports at the full hour, now some seconds early, now late, would hardly have an hour.
    """
    opened, nearest = (Openings.of(ends, calendar, nearest=nearest) for nearest in (False, True))
    moves = Moves.of(opened, meters, standard=standard)
    _blank_installation(moves, meters, calendar)
    if np.array_equal(opened.time_us, nearest.time_us):
        return moves, moves
    others = Moves.of(nearest, meters, standard=standard)
    _blank_installation(others, meters, calendar)
    return moves, others


def _installation(meters: MeterTable, calendar: Calendar) -> tuple[Rows, Rows]:
    """Find (meter, day) of the installations that fall into the calendar."""
    day = meters.installed_day - calendar.day_number[0] if calendar.days else meters.installed_day
    rows = np.flatnonzero((day >= 0) & (day < calendar.days))
    return rows, day[rows].astype(np.intp)


def _blank_installation(moves: Moves, meters: MeterTable, calendar: Calendar) -> None:
    """Forget what moved on the day of an installation, and across it: two meters had a part in it."""
    if len(moves.row) == 0:
        return
    day = meters.installed_day[moves.row]
    from_day = calendar.day_number[calendar.day_of_hour[moves.before]]
    to_day = calendar.day_number[calendar.day_of_hour[moves.after]]
    moves.moved_m3[(from_day <= day) & (day <= to_day) & (to_day > from_day) | (from_day == day)] = np.nan
