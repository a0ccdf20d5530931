"""Where a local day begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S, Floats

#: China's one time zone.
UTC_OFFSET_S = 8 * 3600


def midnight_us(day: Floats, utc_offset_s: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Give the instant at which a day begins at places of a given offset from UTC."""
    return np.asarray(day, dtype=np.int64) * US_PER_DAY - utc_offset_s * US_PER_S
