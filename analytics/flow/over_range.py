"""Snapshots of the flow above the rated range; the register's mean is a separate finding.

A snapshot is never integrated: on an on/off burner the sum of snapshots was two and a half times
what the register moved. Volume and mean flow come from the register alone.
"""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Flags, Floats, Verdict
from analytics.segments import Mask
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each


def check_over_range(block: Block) -> Verdict:
    """Flag a snapshot above Qmax SUSPECT, above `overload_ratio` Qmax FAIL; value: m³/h.

    UNKNOWN where the meter's Qmax is not known.
    """
    flow = block.readings.flow_m3h
    qmax = block.meters.qmax_m3h[block.seg.row]
    flags = block.flags(~np.isnan(flow), decidable=~np.isnan(qmax))
    overload = each(block.limit(lambda p: p.overload_ratio), block.seg.row)
    grade(flags, flow, qmax, overload, ~block.dropout)
    verdict = Verdict(flags={"flow_over_range": flags})
    limit = block.meters.qmax_m3h
    tracker = Tracker(code="flow_over_range")
    block.track(
        verdict,
        block.decisions(flags, flow),
        tracker,
        limit,
        limit_name="qmax_m3h",
        applies=~np.isnan(limit),
    )
    return verdict


_ABOVE = 1 + 1e-9


def grade(flags: Flags, value: Floats, qmax: Floats, overload_ratio: Limit, where: Mask) -> None:
    """Set SUSPECT above Qmax and FAIL above `overload_ratio` Qmax, in place."""
    # What is left of Qmax after a subtraction of large registers is not above it.
    flags[where & (value > qmax * _ABOVE)] = Flag.SUSPECT
    flags[where & (value > overload_ratio * qmax)] = Flag.FAIL


CHECK = Check(codes=("flow_over_range",), run=check_over_range, tracks=("flow_over_range",))
