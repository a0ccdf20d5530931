"""Repeatable noise: a number that depends only on (seed, channel, meter, slot), in any order asked."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
#: Odd constants of SplitMix64 (Steele, Lea, Flood 2014) and of the golden ratio.
_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_METER = np.uint64(0xD1342543DE82EF95)
_MANTISSA_BITS = 53


class Channel(IntEnum):
    """What a random number is for; two channels never share numbers."""

    DAY = 1
    DEMAND = 2
    SNAPSHOT = 3
    BURNER = 4
    PRESSURE = 5
    TEMPERATURE = 6
    BATTERY = 7
    BATTERY2 = 8
    LATENCY = 9
    IDLE = 10
    LOSS = 11
    OUTAGE = 12
    LATE_DAY = 13
    LATE_FROM = 14
    LATE_FOR = 15
    OUTAGE_HOUR = 16
    RECEPTION = 17


def uniform(seed: int, channel: Channel, meter: NDArray[Any], slot: NDArray[Any]) -> NDArray[np.float64]:
    """Draw from [0, 1), one number per (meter, slot)."""
    start = np.uint64((seed * _GAMMA + int(channel) * 0xA24BAED4963EE407) & _MASK)
    bits = _mix(meter.astype(np.uint64) * _METER ^ start)
    bits = _mix(bits + slot.astype(np.uint64) * np.uint64(_GAMMA))
    return np.asarray((bits >> np.uint64(64 - _MANTISSA_BITS)) * 2.0**-_MANTISSA_BITS)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))
