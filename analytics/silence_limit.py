"""How long a meter may be quiet before it counts as silent, and its readings as apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S
from fleet.meter_table import MeterTable


def silent_limit_origin(meters: MeterTable) -> NDArray[np.uint8]:
    """Tell where each meter's silence limit comes from, shape (m,): of the two that make it, the longer."""
    by_interval = meters.limit(lambda p: p.silent_after_intervals) * meters.interval_s
    floored = by_interval < meters.limit(lambda p: p.silent_after_at_least_s)
    of_interval = meters.origin_of("silent_after_intervals", "interval_s")
    return np.where(floored, meters.origin_of("silent_after_at_least_s"), of_interval)


def silent_limit_us(meters: MeterTable) -> NDArray[np.int64]:
    """Work out each meter's silence limit, shape (m,), from its interval and the policy's floor."""
    intervals = meters.limit(lambda p: p.silent_after_intervals)
    floor_s = meters.limit(lambda p: p.silent_after_at_least_s)
    return np.asarray(np.maximum(intervals * meters.interval_s, floor_s) * US_PER_S, dtype=np.int64)
