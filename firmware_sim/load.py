"""Load profiles: how much of its peak a customer burns, by local hour and weekday."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
#: The simulated customers live in China: UTC+8, no daylight saving time.
LOCAL_OFFSET_US = 8 * HOUR_US
#: 1970-01-01 was a Thursday; Monday is 0.
_FIRST_WEEKDAY = 3

PROFILES = ("restaurant", "school", "bakery", "hotel", "boiler")
#: Profiles whose burner is either on or off; the others modulate.
ON_OFF = ("boiler",)

#: Profiles with hours in which nothing burns.
RESTING = ("restaurant", "school", "bakery")
#: And whose nights, from 01 to 05, are among them.
QUIET_NIGHTS = ("restaurant", "school")

#: Profile -> one digit per local hour 0 to 23, in ninths of the peak: weekday, Saturday, Sunday.
#: Every day burns something at noon; the fault plan relies on it.
_NINTHS = {
    "restaurant": ("000000000258972224899620", "000000000258983334899830", "000000000258983334899720"),
    "school": ("000004763038950003520000", "000000000012200000000000", "000000000012200000000000"),
    "bakery": ("007999876543322000000000", "008999887643322000000000", "006899875432220000000000"),
    "hotel": ("211112476543554346888754", "211112477654555446889865", "211112467654554446888743"),
    "boiler": ("222226988876678877665432", "222225877765566665543322", "222223555544444444433222"),
}


def _table() -> NDArray[np.float64]:
    days = (0, 0, 0, 0, 0, 1, 2)
    digits = [[[int(d) for d in _NINTHS[name][day]] for day in days] for name in PROFILES]
    return np.array(digits, dtype=np.float64) / 9.0


_TABLE = _table()


def local_day(time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the local days since 1970."""
    return np.asarray((time_us + LOCAL_OFFSET_US) // DAY_US)


def local_hour(time_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the local hour of the day as a fraction, [0, 24)."""
    return np.asarray((time_us + LOCAL_OFFSET_US) % DAY_US / HOUR_US)


def utilisation(profile: NDArray[Any], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Look up the share of the peak, 0 to 1, of each (profile, time)."""
    weekday = (local_day(time_us) + _FIRST_WEEKDAY) % 7
    return np.asarray(_TABLE[profile, weekday, local_hour(time_us).astype(np.intp)])


def utilisation_between(
    profile: NDArray[Any], begin_us: NDArray[np.int64], end_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give the mean share of the peak, 0 to 1, of each (profile, time from begin to end)."""
    passed = _peak_hours(profile, end_us) - _peak_hours(profile, begin_us)
    return np.asarray(passed / ((end_us - begin_us) / HOUR_US))


#: Profile, hour of the week from Monday on -> hours at the peak since Monday; one more for the end.
_PEAK_HOURS = np.pad(np.cumsum(_TABLE.reshape(len(PROFILES), -1), axis=1), ((0, 0), (1, 0)))
_WEEK_HOURS = 7 * 24


def _peak_hours(profile: NDArray[Any], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count the hours at the peak since some Monday long ago."""
    hours = (time_us + LOCAL_OFFSET_US) / HOUR_US + _FIRST_WEEKDAY * 24
    weeks, rest = np.divmod(hours, _WEEK_HOURS)
    hour = rest.astype(np.intp)
    begun = _TABLE.reshape(len(PROFILES), -1)[profile, hour] * (rest - hour)
    return np.asarray(weeks * _PEAK_HOURS[profile, -1] + _PEAK_HOURS[profile, hour] + begun)


def mean_utilisation(profile: int) -> float:
    """Give a profile's mean share of the peak over a week."""
    return float(_TABLE[profile].mean())
