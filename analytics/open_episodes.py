"""Episodes that go on: what a run of the checks leaves to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_CODE
from fleet.policies import Origin
from fleet.readings import ABSENT

#: An episode that is going on at a meter's last reading; `started_us` ABSENT where there is none. And
#: when the one before it ended; `ended_us` ABSENT where there was none.
OPEN_DTYPE = np.dtype(
    [("started_us", "i8"), ("readings", "i8"), ("value", "f8"), ("flag", "u1"), ("ended_us", "i8")]
)
#: A meter without one.
NOTHING_OPEN = np.array((ABSENT, 0, np.nan, 0, ABSENT), dtype=OPEN_DTYPE)


def nothing_open(n: int) -> NDArray[np.void]:
    """Make the carried part of n meters without an open episode."""
    return np.full(n, NOTHING_OPEN, dtype=OPEN_DTYPE)


def still_open(
    code: str,
    part: int,
    open_: NDArray[np.void],
    meter_key: NDArray[np.int32],
    limit: NDArray[np.float64] | float = np.nan,
    origin: NDArray[np.uint8] | int = Origin.NONE,
) -> Episodes:
    """List the episodes that carried parts, `OPEN_DTYPE` of shape (m,), have open; they hold no limits."""
    rows = np.flatnonzero(open_["started_us"] != ABSENT)
    going_on = open_[rows]
    return Episodes.build(
        meter_key=meter_key[rows],
        check=BY_CODE[code].number,
        flag=going_on["flag"],
        part=part,
        started_us=going_on["started_us"],
        ended_us=ONGOING_US,
        readings=going_on["readings"],
        value=going_on["value"],
        limit=np.broadcast_to(limit, meter_key.shape)[rows],
        origin=np.broadcast_to(origin, meter_key.shape)[rows],
    )
