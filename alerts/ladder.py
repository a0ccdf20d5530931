"""The ladder of checkpoints: at which moments of a meter's time a state is worth keeping; pure.

Borders lie 1, 6, 36 and 216 hours apart, and each is a rung's. A rung keeps the states of its last
two borders, so that for readings late by up to a rung's width a checkpoint at most two widths old
is there: what has to be evaluated again is bounded by a small multiple of the lateness, and what is
kept by eight states a meter. A border is crossed once an hour whatever the rate of the readings:
28 rows a second for 100,000 meters, beside 20,000 readings. The borders of each meter are shifted by
its number, so that a fleet does not cross them all in the same second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Hours between the borders of each rung; each divides the next.
RUNGS_H = (1, 6, 36, 216)
#: What `border_rung` says where no border lies.
NO_BORDER = -1

_WIDTHS_US = np.array(RUNGS_H, dtype=np.int64) * 3_600_000_000
#: Knuth's multiplicative hash: neighbours' borders lie far apart.
_SPREAD = 2_654_435_761


def border_rung(
    meter_key: NDArray[np.int32], from_us: NDArray[np.int64], to_us: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Find the highest rung with a border in (from, to], `NO_BORDER` where there is none; shape (m,)."""
    shift_us = _shift_us(meter_key)
    rung = np.full(len(meter_key), NO_BORDER, dtype=np.int16)
    for number, width_us in enumerate(_WIDTHS_US):
        rung[(to_us + shift_us) // width_us > (from_us + shift_us) // width_us] = number
    return rung


def last_borders(meter_key: NDArray[np.int32], to_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the last two borders of each rung up to `to_us`, ascending, shape (m, 2 x rungs).

    A border of several rungs comes several times.
    """
    shift_us = _shift_us(meter_key)[:, None]
    newest = (to_us[:, None] + shift_us) // _WIDTHS_US * _WIDTHS_US - shift_us
    return np.sort(np.concatenate([newest, newest - _WIDTHS_US], axis=1), axis=1)


def _shift_us(meter_key: NDArray[np.int32]) -> NDArray[np.int64]:
    # Modulo a prime of about the widest rung in seconds, so that seconds differ, too.
    return meter_key.astype(np.int64) * _SPREAD % 777_599 * 1_000_000
