"""How fast the flow changes."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S, Block, Check, Verdict, tracked
from analytics.flow.snapshots import Snapshots
from analytics.kernels.graded import rate_of_change
from analytics.tracking import Tracker

_CODE = "flow_rate_of_change"


def check_rate(block: Block) -> Verdict:
    """Flag a snapshot whose change since the one before is too fast.

    SUSPECT above `rate_qmax_per_s` Qmax per second, FAIL above `rate_fail_qmax_per_s`; a time shorter than
    `rate_over_at_least_s` counts as that long, for a solenoid valve switches a burner's whole flow at once:
    with the defaults no change within the meter's range is ever too fast. A meter's first snapshot is
    UNKNOWN, and so is a second one of the same time, and every one where Qmax is not known. Value: the
    change, m³/h per second.

    Source: IOOS, "Manual for Real-Time Quality Control", test 7, as `kernels.graded.rate_of_change`.
    """
    snapshots, qmax = block.once(Snapshots.of), block.meters.qmax_m3h
    samples, seg = snapshots.samples, snapshots.samples.seg
    least_us = seg.spread(block.limit(lambda p: p.rate_over_at_least_s * US_PER_S))
    elapsed_us = np.maximum(snapshots.elapsed_us, least_us)
    limit = block.limit(lambda p: p.rate_qmax_per_s) * qmax
    fail = block.limit(lambda p: p.rate_fail_qmax_per_s) * qmax
    size = np.abs(snapshots.rise)
    found = rate_of_change(size, elapsed_us, seg.borders, limit[seg.meters], fail[seg.meters])
    flag = found.dense(len(seg))
    value = np.full(len(seg), np.nan)
    value[found.at] = size[found.at] * US_PER_S / elapsed_us[found.at]
    verdict = Verdict(flags={_CODE: samples.flags(flag)})
    entries = samples.decisions(flag, value)
    applies = ~np.isnan(qmax)
    block.track(verdict, entries, Tracker(code=_CODE), limit, limit_name="rate_qmax_per_s", applies=applies)
    return verdict


CHECK = Check(codes=(_CODE,), run=check_rate, tracks=tracked(_CODE))
