"""Does the meter fit its customer? Hours and volume by zone of its rated range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import past

OVERSIZED, UNDERSIZED = "meter_oversized", "meter_undersized"

LOOKBACK_DAYS = 30
#: Known hours that 30 days must have, and days with use among them: too much shows soon, while of too
#: little a customer's holidays would say so too.
_LEAST_HOURS, _LEAST_DAYS, _LEAST_DAYS_SMALL = 360, 10, 20
#: Qt in Qmax; above it the error of a meter is half that below (common knowledge).
_QT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Where in its rated range a meter worked.

    Zones: below Qmin, Qmin to Qt, Qt to Qmax, above Qmax, by the mean flow of hours with use. An
    on/off burner that ran at full power for a few minutes of an hour counts as its mean.
    """

    #: Shape (m, D, 4): m³.
    volume_m3: Floats
    #: Shape (m, D): known hours of each day, used or not.
    known_h: Floats
    #: Shape (m, D): the highest hourly mean or snapshot of each day, m³/h; NaN for none.
    peak_m3h: Floats

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Sort the hours of every day into zones; an hour above Qmax by less than a step is not above."""
        meters, flow = grid.meters, grid.flow_m3h
        known = ~np.isnan(flow)
        qmax = meters.qmax_m3h[:, None]
        qmin = np.fmin(np.nan_to_num(meters.qmin_m3h)[:, None], _QT * qmax)
        zone = (flow >= qmin).astype(np.int8) + (flow >= _QT * qmax)
        zone += flow > qmax + meters.register_step_m3[:, None]
        used = known & (flow > 0)
        volume = [grid.by_day(np.add, np.where(used & (zone == which), flow, 0.0)) for which in range(4)]
        return cls(
            volume_m3=np.stack(volume, axis=-1),
            known_h=grid.by_day(np.add, known.astype(np.float64)),
            peak_m3h=_peak(grid),
        )


def check_size(grid: Grid, judged: range) -> tuple[DayFlags, DayFlags]:
    """Flag days at whose end 30 days of use show a meter that is too large or too small.

    Rule. Too large: no hourly mean and no snapshot passed `oversized_share_of_qmax` Qmax but for
    `oversized_volume_share` of the volume. Too small: at least `undersized_volume_share` of the volume
    was measured in hours with a mean above Qmax (FAIL: twice that), and such hours came on at least
    `undersized_days` days, so that one burst is no verdict on a size. Both SUSPECT. Looks back
    `LOOKBACK_DAYS`.

    UNKNOWN with fewer than 360 known hours, or 20 days with use (10 to be too small), on days at
    standard conditions, and with Qmax unknown. Thirty days are one season: a boiler's meter is
    judged in winter.

    Returns
    -------
    tuple of DayFlags
        Oversized and undersized, shapes (m, j). Values: the highest flow in Qmax, and the share of
        volume above Qmax; limits likewise. Onset: the midnight of the day itself.

    Notes
    -----
    Zones as of error limits of class 1.5 meters; the shares are our own.

    """
    exposure = Exposure.of(grid)
    return _oversized(grid, exposure, judged), _undersized(grid, exposure, judged)


def _oversized(grid: Grid, exposure: Exposure, judged: range) -> DayFlags:
    meters = grid.meters
    share = np.broadcast_to(meters.limit(lambda p: p.oversized_share_of_qmax), len(meters))
    high = (grid.flow_m3h >= (share * meters.qmax_m3h)[:, None]) & ~np.isnan(grid.flow_m3h)
    above = grid.by_day(np.add, np.where(high, grid.flow_m3h, 0.0))

    def judge(day: int) -> Judged:
        unknown, total = _undecided(grid, exposure, day, _LEAST_DAYS_SMALL)
        peak = np.fmax.reduce(past(exposure.peak_m3h, grid.era, day, 0, LOOKBACK_DAYS - 1), axis=1)
        part = np.nansum(past(above, grid.era, day, 0, LOOKBACK_DAYS - 1), axis=1)
        small = part <= meters.limit(lambda p: p.oversized_volume_share) * total
        small &= peak < meters.qmax_m3h * 2 * share
        nothing = np.zeros(len(meters), np.bool_)
        flag = flags(missing=nothing, unknown=unknown, suspect=small, fail=nothing)
        return Judged(flag, peak / meters.qmax_m3h, share)

    origin = meters.origin_of("oversized_share_of_qmax")
    return judge_days(OVERSIZED, judge, grid.calendar, judged, origin, worse=np.fmin)


def _undersized(grid: Grid, exposure: Exposure, judged: range) -> DayFlags:
    meters = grid.meters
    limit = np.broadcast_to(meters.limit(lambda p: p.undersized_volume_share), len(meters))

    def judge(day: int) -> Judged:
        unknown, total = _undecided(grid, exposure, day, _LEAST_DAYS)
        above = past(exposure.volume_m3[:, :, 3], grid.era, day, 0, LOOKBACK_DAYS - 1)
        share = np.nansum(above, axis=1) / np.where(total > 0, total, np.nan)
        often = (above > 0).sum(axis=1) >= meters.limit(lambda p: p.undersized_days)
        flag = flags(
            missing=np.zeros(len(meters), np.bool_),
            unknown=unknown,
            suspect=often & (share > limit),
            fail=share > 2 * limit,
        )
        return Judged(flag, share, limit)

    origin = meters.origin_of("undersized_volume_share")
    return judge_days(UNDERSIZED, judge, grid.calendar, judged, origin)


def _undecided(grid: Grid, exposure: Exposure, day: int, least_days: int) -> tuple[NDArray[np.bool_], Floats]:
    """Tell whom thirty days do not suffice for, and give each meter's volume in them."""
    volume = past(exposure.volume_m3.sum(axis=2), grid.era, day, 0, LOOKBACK_DAYS - 1)
    known = np.nansum(past(exposure.known_h, grid.era, day, 0, LOOKBACK_DAYS - 1), axis=1)
    standard = past(grid.standard.astype(np.float64), grid.era, day, 0, LOOKBACK_DAYS - 1)
    unknown = (known < _LEAST_HOURS) | ((volume > 0).sum(axis=1) < least_days)
    unknown |= np.isnan(grid.meters.qmax_m3h) | (standard == 1).any(axis=1)
    return unknown, np.nansum(volume, axis=1)


def _peak(grid: Grid) -> Floats:
    by_hour = grid.by_day(np.fmax, grid.flow_m3h)
    shown = grid.rollups.flow_max
    at = np.flatnonzero(~np.isnan(shown))
    snapshot = np.full(by_hour.shape, -np.inf)
    np.maximum.at(snapshot, (grid.row[at], grid.day[at]), shown[at])
    return np.fmax(by_hour, np.where(np.isneginf(snapshot), np.nan, snapshot))
