"""Days on which too few of a meter's readings came."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S
from analytics.usage.grid import Grid
from analytics.usage.verdict import DayFlags, Judged, flags, judge_days
from analytics.usage.windows import past

CODE = "low_reception"

LOOKBACK_DAYS = 8
_WEEK = 7
#: A meter of which fewer are expected in a day is judged by its week.
_LEAST_EXPECTED = 12.0


def check_reception(grid: Grid, judged: range) -> DayFlags:
    """Flag days on which too few of the readings came that a meter's interval promises.

    Rule. Expected are the day's length over `interval_s`; SUSPECT if fewer than `reception_share` of
    them were received, dropout frames included, FAIL below `reception_fail_share`. Meters that report
    less than twelve times a day are judged over seven days. Looks back `LOOKBACK_DAYS`.

    MISSING on a day without any reading: silence is `meter_silent`. UNKNOWN on a day, or in a week, in
    which or before which there was such a day: a meter that began, or came back, at noon. Late
    readings count for the day of their own time, so a day can become GOOD afterwards.

    Returns
    -------
    DayFlags
        Shapes (m, j). Value: received over expected; limit: the share. Onset: the midnight of the day.

    Notes
    -----
    The shares are our own; QARTOD's reception test for moored instruments is alike.

    """
    meters = grid.meters
    heard = grid.per_day(grid.rollups.readings.astype(np.float64))
    length_s = np.diff(grid.calendar.day_us) / US_PER_S
    expected = length_s[None, :] / meters.interval_s[:, None]
    limit = np.broadcast_to(meters.limit(lambda p: p.reception_share), len(meters))

    def judge(day: int) -> Judged:
        daily = expected[:, day] >= _LEAST_EXPECTED
        window = [_window(values, day) for values in (heard, expected)]
        week = window[0][:, 1:].sum(axis=1) / window[1][:, 1:].sum(axis=1)
        share = np.where(daily, heard[:, day] / expected[:, day], week)
        # A day before the calendar began is NaN, and as good as silent.
        silent = ~(window[0] > 0)
        broken = np.where(daily, silent[:, -2:].any(axis=1), silent.any(axis=1))
        flag = flags(
            missing=silent[:, -1],
            unknown=broken,
            suspect=share < limit,
            fail=share < meters.limit(lambda p: p.reception_fail_share),
        )
        return Judged(flag, share, limit)

    def _window(values: np.ndarray, day: int) -> np.ndarray:
        return past(values, np.zeros_like(grid.era), day, 0, _WEEK)

    origin = meters.origin_of("reception_share")
    return judge_days(CODE, judge, grid.calendar, judged, origin, worse=np.fmin)
