"""Snapshots of the flow above the rated range; the register's mean is a separate finding.

A snapshot is never integrated: on an on/off burner the sum of snapshots was two and a half times
what the register moved. Volume and mean flow come from the register alone.
"""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
from analytics.samples import flow
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each


def check_over_range(block: Block) -> Verdict:
    """Flag a snapshot above Qmax SUSPECT, above `overload_ratio` Qmax FAIL; value: m³/h.

    UNKNOWN where the meter's Qmax is not known.
    """
    samples, limit = block.once(flow), block.meters.qmax_m3h
    flag = samples.good()
    overload_ratio = block.limit(lambda p: p.overload_ratio)
    above = np.flatnonzero(samples.value > samples.seg.spread(limit))
    meter = samples.seg.meter_of(above)
    some = flag[above]
    grade(some, samples.value[above], limit[meter], each(overload_ratio, meter))
    flag[above] = some
    samples.put_undecided(flag, ~np.isnan(limit))
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


_ABOVE = 1 + 1e-9


def grade(flags: Flags, value: Floats, qmax: Floats, overload_ratio: Limit) -> None:
    """Set SUSPECT above Qmax and FAIL above `overload_ratio` Qmax, in place."""
    # What is left of Qmax after a subtraction of large registers is not above it.
    flags[value > qmax * _ABOVE] = Flag.SUSPECT
    flags[value > overload_ratio * qmax] = Flag.FAIL


CHECK = Check(codes=("flow_over_range",), run=check_over_range, tracks=("flow_over_range",))
