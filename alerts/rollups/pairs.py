"""Pairs of a meter and a period, and the stretches of time that they cover together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H
from analytics.rollups.periods import Granularity, begin_us, end_us
from fleet.columns import Columns

#: Clocks are changed, and zones differ, by whole quarters of an hour: one of these moments of an
#: hour of UTC lies in each local hour that it meets.
_PROBES_US = np.array([0, US_PER_H // 4, US_PER_H // 2, 3 * US_PER_H // 4], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """k stretches [from, to) of meters, as arrays of shape (k,)."""

    meter_keys: NDArray[np.int32]
    from_us: NDArray[np.int64]
    to_us: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs(Columns):
    """k pairs of a meter and the instant at which a local period begins, sorted, each once."""

    meter_keys: NDArray[np.int32]
    begin_us: NDArray[np.int64]

    @classmethod
    def of(cls, meter_keys: NDArray[np.int32], begins_us: NDArray[np.int64]) -> Self:
        """Sort pairs and leave out repeats."""
        order = np.lexsort((begins_us, meter_keys))
        keys, begins = meter_keys[order], begins_us[order]
        fresh = np.flatnonzero(np.diff(keys, prepend=-1) | np.diff(begins, prepend=-1))
        return cls(keys[fresh], begins[fresh])

    @classmethod
    def local_hours(cls, meter_keys: NDArray[np.int32], hours_us: NDArray[np.int64], zone: ZoneInfo) -> Self:
        """Find the local hours that hours of UTC meet: two in a half-hour zone."""
        times = (hours_us[:, None] + _PROBES_US).ravel()
        keys = np.repeat(meter_keys, len(_PROBES_US))
        return cls.of(keys, begin_us(times, zone, Granularity.HOUR))

    def days(self, zone: ZoneInfo) -> Pairs:
        """Give the local days in which the periods begin."""
        return Pairs.of(self.meter_keys, begin_us(self.begin_us, zone, Granularity.DAY))

    def joined(self, meter_keys: NDArray[np.int32], begins_us: NDArray[np.int64]) -> Pairs:
        """Add more pairs."""
        return Pairs.of(
            np.concatenate([self.meter_keys, meter_keys]), np.concatenate([self.begin_us, begins_us])
        )

    def stretches(self, zone: ZoneInfo, granularity: Granularity) -> Stretches:
        """Cover the periods by as few stretches as there are gaps between them."""
        ends = end_us(self.begin_us, zone, granularity)
        opens = np.ones(len(self), dtype=np.bool_)
        opens[1:] = (self.meter_keys[1:] != self.meter_keys[:-1]) | (self.begin_us[1:] != ends[:-1])
        closes = np.append(opens[1:], np.True_)[: len(self)]
        return Stretches(self.meter_keys[opens], self.begin_us[opens], ends[closes])
