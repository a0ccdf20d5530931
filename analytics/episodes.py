"""Episodes: stretches of time during which one check found one meter wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fleet.columns import Columns
from fleet.policies import Origin

#: `ended_us` of an episode that has not ended.
ONGOING_US = int(np.iinfo(np.int64).max)

_DTYPES: dict[str, Any] = {
    "meter_key": np.int32,
    "check": np.uint8,
    "flag": np.uint8,
    "part": np.uint8,
    "started_us": np.int64,
    "ended_us": np.int64,
    "readings": np.int64,
    "value": np.float64,
    "limit": np.float64,
    "origin": np.uint8,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Episodes(Columns):
    """k episodes as arrays of shape (k,)."""

    meter_key: NDArray[np.int32]
    #: Number of the check in `fleet.checks.BY_NUMBER`.
    check: NDArray[np.uint8]
    #: Worst flag so far: SUSPECT or FAIL.
    flag: NDArray[np.uint8]
    #: Which battery, 1 or 2; 0 where the question does not arise.
    part: NDArray[np.uint8]
    #: Device time of the onset, microseconds since 1970 UTC.
    started_us: NDArray[np.int64]
    #: Device time of the first reading that is good again; ONGOING_US where there is none yet.
    ended_us: NDArray[np.int64]
    #: How many readings were flagged so far.
    readings: NDArray[np.int64]
    #: The worst value so far, and the limit it is held against; unit by `CheckSpec.unit`.
    value: NDArray[np.float64]
    limit: NDArray[np.float64]
    #: Where the limit comes from, as `fleet.policies.Origin`.
    origin: NDArray[np.uint8]

    @classmethod
    def build(cls, **columns: Any) -> Self:
        """Make episodes from all columns; scalars are stretched to the longest.

        Without `origin` their limits are nobody's.
        """
        columns = {"origin": Origin.NONE} | columns
        arrays = np.broadcast_arrays(*(np.asarray(columns[name]) for name in _DTYPES))
        return cls(**{n: np.atleast_1d(a).astype(_DTYPES[n]) for n, a in zip(_DTYPES, arrays, strict=True)})

    @classmethod
    def empty(cls) -> Self:
        """Make no episodes."""
        return cls(**{name: np.empty(0, dtype) for name, dtype in _DTYPES.items()})
