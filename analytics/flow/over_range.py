"""Snapshots of the flow above the rated range; the register's mean is a separate finding.

A snapshot is never integrated: on an on/off burner the sum of snapshots was two and a half times
what the register moved. Volume and mean flow come from the register alone.
"""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict, tracked
from analytics.kernels.graded import gross_range
from analytics.samples import flow
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit


def check_over_range(block: Block) -> Verdict:
    """Flag a snapshot above Qmax SUSPECT, above `overload_ratio` Qmax FAIL; value: m³/h.

    UNKNOWN where the meter's Qmax is not known.
    """
    samples, limit = block.once(flow), block.meters.qmax_m3h
    seg, overload_ratio = samples.seg, block.limit(lambda p: p.overload_ratio)
    high, fail_high = limit * _ABOVE, overload_ratio * limit
    flag = gross_range(
        samples.value, seg.borders, high=high[seg.meters], fail_high=fail_high[seg.meters]
    ).dense(len(seg))
    verdict = Verdict(flags={"flow_over_range": samples.flags(flag)})
    tracker = Tracker(code="flow_over_range")
    block.track(
        verdict,
        samples.decisions(flag, samples.value),
        tracker,
        limit,
        limit_name="qmax_m3h",
        applies=~np.isnan(limit),
    )
    return verdict


#: What is left of Qmax after a subtraction of large registers is not above it.
_ABOVE = 1 + 1e-9


def grade(flags: Flags, value: Floats, qmax: Floats, overload_ratio: Limit) -> None:
    """Set SUSPECT above Qmax and FAIL above `overload_ratio` Qmax, in place."""
    flags[value > qmax * _ABOVE] = Flag.SUSPECT
    flags[value > overload_ratio * qmax] = Flag.FAIL


CHECK = Check(codes=("flow_over_range",), run=check_over_range, tracks=tracked("flow_over_range"))
