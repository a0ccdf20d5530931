"""How far a register moved between two readings, to the last digit that it shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.register.limits import Rolling
from analytics.segments import Mask
from fleet.meter_table import MeterTable

#: Digits that a double holds whatever they are.
_SIGNIFICANT = 15
#: Whole numbers above this are not exact in a double.
_EXACT = 2.0**53


def moved_m3(
    meters: MeterTable,
    meter_key: NDArray[np.int32],
    elapsed_us: NDArray[np.int64],
    before: Floats,
    after: Floats,
    standard: Mask,
) -> Floats:
    """Subtract neighbouring readings of registers, allowing for a roll-over; shapes (n,), m³.

    A fall that is no roll-over (see `turns`) stays what it is: a negative volume. NaN where either is.
    """
    return over_turns(
        meters, meter_key, before, after, turns(meters, meter_key, elapsed_us, before, after, standard)
    )


def over_turns(
    meters: MeterTable,
    meter_key: NDArray[np.int32],
    before: Floats,
    after: Floats,
    turned: NDArray[np.int64],
) -> Floats:
    """Subtract registers between which they rolled over so many times; shapes (n,), m³."""
    moved = difference(before, after)
    at = np.flatnonzero(turned)
    top_m3 = meters.register_top_m3[meters.rows_of(meter_key[at])]
    moved[at] = difference(before[at], after[at], turned[at] * top_m3)
    return moved


def turns(
    meters: MeterTable,
    meter_key: NDArray[np.int32],
    elapsed_us: NDArray[np.int64],
    before: Floats,
    after: Floats,
    standard: Mask,
) -> NDArray[np.int64]:
    """Count roll-overs between neighbouring readings of registers; shapes (n,).

    1 for a fall that is a roll-over: from near the top of `register_digits` to near zero, by no more
    than can have flowed meanwhile (see `analytics.register.limits.Rolling`). -1 for a rise that no flow
    explains and that is a roll-over when read backwards: the one before it was misread, and is taken
    back. Else 0. `standard` marks registers at standard conditions, which a pressure makes faster.
    """
    out = np.zeros(len(before), dtype=np.int64)
    moved = after - before
    # What rolls over backwards rose by more than half of the register.
    least_m3 = meters.register_top_m3.min(initial=np.inf) / 2
    at = np.flatnonzero((moved < 0) | (moved > least_m3))
    if len(at) == 0:
        return out
    limits = Rolling.of_meters(meters, meters.rows_of(meter_key[at]), standard=standard[at])
    moved, before, after, elapsed_us = moved[at], before[at], after[at], elapsed_us[at]
    rolled = (moved < 0) & limits.rolled(before, after, elapsed_us)
    leapt = moved > limits.tolerance_m3 + limits.fastest * elapsed_us
    out[at] = rolled.astype(np.int64) - (leapt & limits.rolled(after, before, elapsed_us))
    return out


def difference(before: Floats, after: Floats, top: Floats | float = 0.0) -> Floats:
    """Subtract as one subtracts the written numbers: 12.34, never 12.340000000000146.

    The decimals are those that the two show; both are scaled to whole numbers, whose difference
    is exact, and scaled back, which gives the double nearest to the written difference. Numbers
    that have more digits than a double holds are rounded to `_SIGNIFICANT` of the larger one.
    `top`, a whole number, is added where the register rolled over.
    """
    decimals = np.maximum(shown_decimals(before), shown_decimals(after))
    largest = np.fmax(np.abs(before), np.abs(after))
    whole = np.ceil(np.log10(np.nan_to_num(largest, posinf=0.0) + 1.0)).astype(np.int64)
    scale = _POWERS[np.minimum(decimals, np.maximum(_SIGNIFICANT - whole, 0))]
    out: Floats = (np.rint(after * scale) - np.rint(before * scale) + top * scale) / scale
    return out


_POWERS = 10.0 ** np.arange(_SIGNIFICANT + 1)


def shown_decimals(values: Floats) -> NDArray[np.int64]:
    """Count the decimals of each number as it is written shortest, at most `_SIGNIFICANT`."""
    out = np.zeros(len(values), dtype=np.int64)
    left = np.flatnonzero(np.isfinite(values))
    for decimals, scale in enumerate(_POWERS.tolist()):
        scaled = values[left] * scale
        more = (np.rint(scaled) / scale != values[left]) & (np.abs(scaled) < _EXACT)
        left = left[more]
        if len(left) == 0:
            break
        out[left] = min(decimals + 1, _SIGNIFICANT)
    return out
