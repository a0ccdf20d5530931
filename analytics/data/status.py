"""What the meter itself says is wrong with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Check, Floats, Verdict, tracked
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.readings import ABSENT
from fleet.wire import status_bits

_CODE = "status_reported"
_GRAVE = status_bits(["tamper_magnetic", "case_open", "reverse_flow"])


class Union:
    """Joins sets of status bits, as `Tracker.worse`; NaN is the empty set."""

    def __call__(self, one: Any, other: Any) -> Floats:
        """Join set by set."""
        return (_bits(one) | _bits(other)).astype(np.float64)

    def reduceat(self, values: Floats, heads: NDArray[np.intp]) -> Floats:
        """Join the sets from each head to the next."""
        return np.bitwise_or.reduceat(_bits(values), heads).astype(np.float64)


def _bits(values: Any) -> NDArray[np.int64]:
    return np.nan_to_num(np.asarray(values, dtype=np.float64)).astype(np.int64)


def check_status(block: Block) -> Verdict:
    """Flag readings with any status bit SUSPECT, with one of tampering, an open case or reverse flow FAIL.

    A status without a bit is GOOD, none at all MISSING. An episode lasts while any bit is set;
    value: all bits that were, as in `fleet.wire.STATUS_CODES`; limit 0.
    """
    bits = block.readings.status_bits
    flags = block.flags(bits != ABSENT)
    said = np.flatnonzero((bits > 0) & ~block.dropout)
    verdict = Verdict(flags={_CODE: flags})
    if len(said) == 0 and not (block.state[_CODE]["started_us"] != ABSENT).any():
        return verdict
    flags[said] = np.where(bits[said] & _GRAVE, np.uint8(Flag.FAIL), np.uint8(Flag.SUSPECT))
    entries = block.decisions(flags, bits.astype(np.float64))
    block.track(verdict, entries, Tracker(code=_CODE, worse=Union()), 0.0)
    return verdict


CHECK = Check(codes=(_CODE,), run=check_status, tracks=tracked(_CODE))
