"""Is the meter's clock ahead? One that is behind looks like a late batch."""

from __future__ import annotations

import numpy as np

from analytics.block import US_PER_S, Block, Check, Verdict, tracked
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT

_CODE = "clock_skew"


def check_clock(block: Block) -> Verdict:
    """Flag a reading SUSPECT whose own time is ahead of its arrival by more than `clock_ahead_s`.

    Nothing arrives before it is sent, so such a clock is wrong. The reverse proves nothing: a clock
    that is behind cannot be told from a batch that was sent late, and what arrives later than the
    meter's silence limit says nothing of a clock that is ahead either: UNKNOWN. A reading of which
    the arrival is not known is MISSING. Value: how far ahead, s.

    The intake refuses readings that are ahead by more than `fleet.wire.CLOCK_AHEAD_US`; a meter of
    which all are is silent.
    """
    received_us = block.readings.received_us
    ahead_us = block.time_us - received_us
    there = received_us != ABSENT
    late = ahead_us < -block.silent_limit_us[block.seg.row]
    flags = block.flags(there, decidable=~late)
    limit_s = block.limit(lambda p: p.clock_ahead_s)
    ahead = there & ~block.dropout & (ahead_us > each(limit_s, block.seg.row) * US_PER_S)
    flags[ahead] = Flag.SUSPECT
    verdict = Verdict(flags={_CODE: flags})
    if ahead.any() or (block.state[_CODE]["started_us"] != ABSENT).any():
        entries = block.decisions(flags, np.where(there, ahead_us / US_PER_S, np.nan))
        block.track(verdict, entries, Tracker(code=_CODE), limit_s, limit_name="clock_ahead_s")
    return verdict


CHECK = Check(codes=(_CODE,), run=check_clock, tracks=tracked(_CODE))
