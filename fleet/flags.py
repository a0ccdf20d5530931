"""Quality flags of a reading under a check, and their one order of precedence."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Flag(IntEnum):
    """QARTOD's five flags (IOOS, "Manual for Real-Time Quality Control", primary level flags)."""

    #: The check ran and found nothing.
    GOOD = 1
    #: The check could not decide, for example at a first reading.
    UNKNOWN = 2
    #: Outside the first limit.
    SUSPECT = 3
    #: Outside the second limit, or plainly wrong.
    FAIL = 4
    #: The reading does not carry what the check needs.
    MISSING = 9


#: Worst last: where several checks speak of one reading, the rightmost wins.
PRECEDENCE = (Flag.MISSING, Flag.UNKNOWN, Flag.GOOD, Flag.SUSPECT, Flag.FAIL)

_RANK = np.zeros(max(Flag) + 1, dtype=np.uint8)
for _rank, _flag in enumerate(PRECEDENCE):
    _RANK[_flag] = _rank
_FLAG_OF_RANK = np.array(PRECEDENCE, dtype=np.uint8)


def worst(*flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Combine flag arrays of one shape, element by element, by `PRECEDENCE`.

    Raises ValueError when called with nothing.
    """
    if not flags:
        msg = "worst() needs at least one array of flags"
        raise ValueError(msg)
    whole = flags[0]
    for other in flags[1:]:
        whole = _worse(whole, other)
    return whole.copy() if len(flags) == 1 else whole


def _worse(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Combine two arrays; of GOOD, UNKNOWN and MISSING the smaller number wins, and only few are worse."""
    out = np.minimum(one, other)
    least = np.uint8(Flag.SUSPECT)
    bad = np.nonzero((one - least <= 1) | (other - least <= 1))
    out[bad] = _FLAG_OF_RANK[np.maximum(_RANK[one[bad]], _RANK[other[bad]])]
    return out
