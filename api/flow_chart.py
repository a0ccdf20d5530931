"""A meter's flow as a chart draws it: peaks kept, gaps left open, invalid readings apart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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

    @property
    def is_invalid(self) -> bool:
        """Whether nothing but dropout frames came."""
        return self.invalid == self.readings


def bucket_s(span: timedelta, most: int = MOST_BUCKETS) -> int:
    """Choose the width of a bucket, s, so that a span has at most so many."""
    return max(1, math.ceil(span.total_seconds() / most))


def register_means(buckets: Sequence[Bucket]) -> list[float | None]:
    """Give the mean flow, m³/h, since the bucket before, from the register; None where unknown.

    A register that went backwards has no mean: an exchanged meter is no flow.
    """
    means: list[float | None] = []
    before: Bucket | None = None
    for bucket in buckets:
        means.append(None if before is None else _mean(before, bucket))
        if bucket.volume is not None:
            before = bucket
    return means


def silent_after_s(interval_s: float | None, policy: Policy = DEFAULT_POLICY) -> float:
    """Say after how long without a reading a meter counts as silent, s."""
    interval = interval_s or policy.interval_s
    return max(policy.silent_after_intervals * interval, float(policy.silent_after_at_least_s))


def series(buckets: Sequence[Bucket], gap_s: float) -> dict[str, list[Any]]:
    """Lay the buckets out as the chart's columns; a row of nulls breaks the lines at each gap.

    Times are seconds since 1970. `invalid` is 0 at buckets of dropout frames only, null elsewhere.
    """
    rows: list[list[float | None]] = []
    for bucket, mean in zip(buckets, register_means(buckets), strict=True):
        at = bucket.middle.timestamp()
        if rows and at - (rows[-1][0] or 0.0) > gap_s:
            rows.append([(rows[-1][0] or 0.0) + gap_s / 2, None, None, None, None])
            mean = None  # noqa: PLW2901 (a mean over a gap would be drawn as if it were known)
        rows.append([at, bucket.low, bucket.high, mean, 0.0 if bucket.is_invalid else None])
    names = ("time", "low", "high", "mean", "invalid")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _mean(before: Bucket, bucket: Bucket) -> float | None:
    if bucket.volume is None or before.volume is None:
        return None
    if bucket.volume_at is None or before.volume_at is None or bucket.volume < before.volume:
        return None
    hours = (bucket.volume_at - before.volume_at).total_seconds() / _SECONDS_PER_HOUR
    return (bucket.volume - before.volume) / hours if hours > 0 else None
