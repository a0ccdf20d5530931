"""What the checks carry of each meter from one run to the next."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from analytics.block import Tracked
from analytics.checks import CHECKS
from analytics.open_episodes import OPEN_DTYPE, nothing_open
from fleet.readings import ABSENT

#: To be raised when a field keeps its name and type and changes its meaning.
_VERSION = 1

#: Fields that hold an episode which is going on.
TRACKED: dict[str, Tracked] = {tracked.field: tracked for check in CHECKS for tracked in check.tracks}

#: Times are device times, microseconds since 1970 UTC, ABSENT where there is none; values NaN.
STATE_DTYPE = np.dtype(
    [
        *(field for check in CHECKS for field in check.carries),
        *((name, OPEN_DTYPE) for name in TRACKED),
    ]
)

#: Names the fields and their meaning; a stored state of another layout is worthless.
STATE_LAYOUT = zlib.crc32(repr((_VERSION, STATE_DTYPE.descr)).encode()) & 0x7FFF_FFFF


def initial_state(n: int) -> NDArray[np.void]:
    """Make the state of n meters that nothing was heard of."""
    return np.repeat(_INITIAL, n)


def _initial() -> NDArray[np.void]:
    state = np.zeros(1, dtype=STATE_DTYPE)
    for name in STATE_DTYPE.names or ():
        if name in TRACKED:
            state[name] = nothing_open(1)
        elif STATE_DTYPE[name] == np.float64:
            state[name] = np.nan
        elif name.endswith(("_us", "_seq")) and name != "silent_limit_us":
            state[name] = ABSENT
    return state


_INITIAL = _initial()
