"""Batteries past the end of their life, by the registry's dates alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, Floats
from analytics.episodes import ONGOING_US, Episodes
from analytics.midnight import midnight_us
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import MeterTable, each


def battery_overdue(meters: MeterTable, now_us: int, utc_offset_s: NDArray[np.int64]) -> Episodes:
    """Find batteries past the end of their life, by the registry's dates alone.

    SUSPECT from local midnight of the due day, FAIL once overdue by `battery_overdue_fail_days`.
    Onset: that midnight; value: days since; limit 0.
    """
    return Episodes.concatenate(
        [
            _overdue(meters, part, due_day, now_us, utc_offset_s)
            for part, due_day in ((1, meters.battery_due_day), (2, meters.battery2_due_day))
        ]
    )


def _overdue(
    meters: MeterTable,
    part: int,
    due_day: Floats,
    now_us: int,
    utc_offset_s: NDArray[np.int64],
) -> Episodes:
    rows = np.flatnonzero(~np.isnan(due_day))
    due_us = midnight_us(due_day[rows], utc_offset_s[rows])
    late = now_us >= due_us
    rows, due_us = rows[late], due_us[late]
    days = (now_us - due_us) / US_PER_DAY
    fail_days = each(meters.limit(lambda p: p.battery_overdue_fail_days), rows)
    return Episodes.build(
        meter_key=meters.meter_key[rows],
        check=BY_CODE["battery_overdue"].number,
        flag=np.where(days > fail_days, Flag.FAIL, Flag.SUSPECT),
        part=part,
        started_us=due_us,
        ended_us=ONGOING_US,
        readings=0,
        value=days,
        limit=0.0,
        origin=meters.origin_of("battery_due_day" if part == 1 else "battery2_due_day")[rows],
    )
