"""Between times and counts of microseconds since 1970 UTC, exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Where nobody names a time zone: China has one.
DEFAULT_ZONE = "Asia/Shanghai"


def to_us(when: datetime) -> int:
    """Count microseconds since 1970 UTC; `when` carries its time zone."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def latest_day(time_us: int) -> date:
    """Give the latest date that it is anywhere on earth at a moment."""
    return (to_datetime(time_us) + timedelta(hours=14)).date()


def to_datetime(time_us: int) -> datetime:
    """Give the UTC time of a count of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=time_us)
