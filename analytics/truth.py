"""What was really there, and what was found, as columns: the two sides of a score."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import Episodes
from fleet.columns import Columns

Times = NDArray[np.int64]


class Kind(IntEnum):
    """What a label says of findings that overlap it, the stronger word first."""

    #: It has to be found; a finding is right.
    FAULT = 0
    #: A fault of another kind causes it; a finding is right, none is no miss.
    EFFECT = 1
    #: A fault of another kind may cause it; a finding counts neither way.
    TOLERATED = 2
    #: Nobody can tell from telemetry; a finding counts neither way, and is counted apart.
    UNDECIDED = 3


_LABEL_DTYPES: dict[str, Any] = {
    "meter_key": np.int32,
    "check": np.uint8,
    "kind": np.uint8,
    "level": np.int8,
    "from_us": np.int64,
    "until_us": np.int64,
    "decidable_us": np.int64,
    "slack_us": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """k labels as arrays of shape (k,): what was really there."""

    meter_key: NDArray[np.int32]
    #: Number of the check in `fleet.checks.BY_NUMBER`.
    check: NDArray[np.uint8]
    #: `Kind`.
    kind: NDArray[np.uint8]
    #: How strong a fault is: any small numbers, by which recall is told apart.
    level: NDArray[np.int8]
    #: The fault is there from, and until before; microseconds since 1970 UTC.
    from_us: Times
    until_us: Times
    #: When the check's rule, followed to the letter, can tell.
    decidable_us: Times
    #: A finding that lies so far outside of [from, until) still speaks of this.
    slack_us: Times

    @classmethod
    def build(cls, **columns: Any) -> Self:
        """Make labels from all columns; scalars are stretched to the longest."""
        arrays = np.broadcast_arrays(*(np.asarray(columns[name]) for name in _LABEL_DTYPES))
        pairs = zip(_LABEL_DTYPES, arrays, strict=True)
        return cls(**{name: np.atleast_1d(array).astype(_LABEL_DTYPES[name]) for name, array in pairs})

    def __len__(self) -> int:
        return len(self.meter_key)


@dataclass(frozen=True, slots=True, eq=False)
class Findings(Columns):
    """f findings: episodes, and when each was first raised."""

    episodes: Episodes
    #: Shape (f,): arrival of the reading that tipped it, microseconds since 1970 UTC.
    decided_us: Times

    @classmethod
    def empty(cls) -> Self:
        """Make no findings."""
        return cls(Episodes.empty(), np.empty(0, dtype=np.int64))
