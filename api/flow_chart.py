"""A meter's flow as a chart draws it: peaks kept, gaps left open, invalid readings apart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from fleet.policy import DEFAULT_POLICY, Policy

#: More points than a chart on a desk has pixels to spare for: each bucket draws a low and a high.
MOST_BUCKETS = 480
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """All readings of one stretch of time, as `flow_buckets` sums them up."""

    first_at: datetime
    last_at: datetime
    readings: int
    #: Dropout frames among them, which count in nothing below.
    invalid: int
    #: Lowest and highest snapshot, m³/h; None where no reading carried a flow.
    low: float | None
    high: float | None
    #: Register, m³, and when it stood there.
    volume: float | None
    volume_at: datetime | None

    @property
    def middle(self) -> datetime:
        """Where the bucket is drawn: between its first and its last reading."""
        return self.first_at + (self.last_at - self.first_at) / 2


def bucket_s(span: timedelta, most: int = MOST_BUCKETS) -> int:
    """Choose the width of a bucket, s, so that a span has at most so many."""
    return max(1, math.ceil(span.total_seconds() / most))


def register_means(buckets: Sequence[Bucket], window_s: float, gap_s: float) -> list[float | None]:
    """Give each bucket the mean flow, m³/h, of its clock-aligned window, from the register.

    A register counts in steps, often of 1 m³, so a mean needs a window that is wide beside a step.
    None where unknown: a register that went backwards (an exchanged meter) or stands after a gap
    says nothing of the flow.
    """
    means: list[float | None] = []
    before: Bucket | None = None
    for _window, found in groupby(buckets, key=lambda bucket: bucket.first_at.timestamp() // window_s):
        group = list(found)
        known = [bucket for bucket in group if bucket.volume is not None]
        if known and (before is None or _seconds(before, known[0]) > gap_s):
            before = known[0]
        means += [_mean(before, known[-1]) if known and before else None] * len(group)
        before = known[-1] if known else before
    return means


def silent_after_s(interval_s: float | None, policy: Policy = DEFAULT_POLICY) -> float:
    """Say after how long without a reading a meter counts as silent, s."""
    interval = interval_s or policy.interval_s
    return max(policy.silent_after_intervals * interval, float(policy.silent_after_at_least_s))


def series(buckets: Sequence[Bucket], gap_s: float, policy: Policy = DEFAULT_POLICY) -> dict[str, list[Any]]:
    """Lay the buckets out as the chart's columns; a row of nulls breaks the lines at each gap.

    Times are seconds since 1970. `invalid` is 0 at buckets with a dropout frame, null elsewhere.
    """
    rows: list[tuple[float | None, ...]] = []
    last_s: float | None = None
    for bucket, mean in zip(buckets, register_means(buckets, policy.mean_window_s, gap_s), strict=True):
        at_s = bucket.middle.timestamp()
        if last_s is not None and at_s - last_s > gap_s:
            rows.append(((last_s + at_s) / 2, None, None, None, None))
        rows.append((at_s, bucket.low, bucket.high, mean, 0.0 if bucket.invalid else None))
        last_s = at_s
    names = ("time", "low", "high", "mean", "invalid")
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}


def _mean(before: Bucket, bucket: Bucket) -> float | None:
    if bucket.volume is None or before.volume is None or bucket.volume < before.volume:
        return None
    seconds = _seconds(before, bucket)
    mean = (bucket.volume - before.volume) / seconds * _SECONDS_PER_HOUR if seconds > 0 else math.inf
    return mean if math.isfinite(mean) else None


def _seconds(before: Bucket, bucket: Bucket) -> float:
    """Count from one bucket's register to another's, s; both have one."""
    if bucket.volume_at is None or before.volume_at is None:
        return 0.0
    return (bucket.volume_at - before.volume_at).total_seconds()
