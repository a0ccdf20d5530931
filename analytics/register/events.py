"""Register samples that fell, or rose faster than gas should, and what their neighbours make of them.

One sample alone never proves anything: a register that fell and is back at the next sample was
misread. So a sample that fell or leapt waits for the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, Block, Flags, Floats
from analytics.register.limits import Limits, Speeds
from analytics.segments import Mask, Positions, Segments
from fleet.flags import Flag
from fleet.readings import ABSENT

State = Mapping[str, NDArray[Any]]
#: What the cheap look lets pass is well below the limit, whatever rounding does.
_SURE = 0.9
#: What a register that stood may catch up with: no more than could flow in this time.
_STOOD_AT_MOST_US = US_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """c samples of a register that fell or rose too fast; shape (c,) unless said."""

    #: Positions among the register's samples, ascending.
    at: Positions
    #: Positions of samples that have none before them, shape (f,).
    firsts: Positions
    #: How the register stood before it moved.
    stand: Stand
    #: Fell, and not from a spike.
    fell: Mask
    leapt: Mask
    peak: Mask
    spike: Mask
    #: Misread low: fell, and the next sample is not below the former level.
    low: Mask
    #: The sample before was misread low, so that this one only came back.
    after_low: Mask
    after_spike: Mask
    #: Fell, and may as well have rolled over: it did if the next sample goes on from there.
    rolled: Mask
    #: Another meter is the likely reason.
    exchange: Mask
    #: The next sample has not come.
    waits: Mask
    #: Nobody knows what flowed before it.
    disturbing: Mask

    @property
    def doubted(self) -> Mask:
        """Rose faster than gas should, but not as fast as no gas can: believed after the next sample."""
        doubted: Mask = self.peak & ~self.leapt
        return doubted

    @property
    def misread(self) -> Mask:
        """Of the doubted, those that the next sample takes back."""
        misread: Mask = self.peak & ~self.leapt & self.spike
        return misread

    def glitch(self) -> tuple[Flags, Mask]:
        """Say which were misread; and which had, or have, to wait for that."""
        waited = self.fell | self.peak
        flag = self._flags(waited & self.waits)
        flag[self.spike | self.low] = Flag.SUSPECT
        return flag, waited

    def reversed(self) -> tuple[Flags, Mask]:
        """Say at which the register really fell."""
        waited = self.fell & ~self.exchange
        flag = self._flags(waited & self.waits)
        flag[waited & ~self.waits & ~self.low & ~self.rolled] = Flag.FAIL
        return flag, waited

    def jumped(self) -> tuple[Flags, Mask]:
        """Say at which it rose as no gas can, and stayed there."""
        waited = self.leapt & ~self.exchange & ~self.after_low
        flag = self._flags(waited & self.waits)
        flag[waited & ~self.waits & ~self.spike] = Flag.FAIL
        return flag, waited

    def exchanged(self) -> tuple[Flags, Mask]:
        """Say at which another meter began to count."""
        waited = (self.fell | (self.leapt & ~self.after_low)) & self.exchange
        flag = self._flags(waited & self.waits)
        flag[waited & ~self.waits & ~self.spike & ~self.low] = Flag.SUSPECT
        return flag, waited

    def _flags(self, unknown: Mask) -> Flags:
        flag: Flags = np.where(unknown, np.uint8(Flag.UNKNOWN), np.uint8(Flag.GOOD))
        return flag


def find_events(
    block: Block, seg: Segments, time_us: NDArray[np.int64], value: Floats, rise: Floats, gas: Mask,
    speeds: Speeds, old: State,
) -> Events:  # fmt: skip
    """Find them among samples of shape (n,) with their rises; see `series.analyse` for the rules."""
    at, firsts = _candidates(block, seg, time_us, rise, speeds, old)
    limits = Limits.of(block, seg.meter_of(at), speeds)
    before_us = seg.previous_of(time_us, at, old["before_us"])
    before, this = seg.previous_of(value, at, old["before"]), value[at]
    tolerance, elapsed_us = limits.tolerance_m3, time_us[at] - before_us
    changes = np.flatnonzero(rise != 0)
    # From near the top it rolled over; from afar the next sample tells, and nobody knows until then.
    fell = (this < before - tolerance) & ~limits.rolled_near(before, this, elapsed_us)
    rolled = fell & limits.rolled_far(before, this, elapsed_us)
    # A register that is shown late catches up with what flowed since it moved last.
    stand = Stand(seg, time_us, changes, np.flatnonzero(gas), old)
    flowed_us = np.minimum(stand.flowed_us(at), _STOOD_AT_MOST_US)
    could_have = np.maximum(limits.fastest * elapsed_us, limits.doubtful * flowed_us)
    leapt = this > before + tolerance + could_have
    peak = this > before + tolerance + limits.doubtful * elapsed_us
    after = seg.next_of(value, at, np.nan)
    could_be = before + tolerance + limits.fastest * (seg.next_of(time_us, at, 0) - before_us)
    back = (after < this - tolerance) & (after >= before - tolerance) & (after <= could_be)
    spike = peak & back
    after_spike = _before(seg, at, spike, old["after_spike"])
    nothing = np.zeros(len(block.meters), dtype=np.bool_)
    # The way back from a misread sample disturbs nothing but that sample.
    returned = _before(seg, at, peak & ~leapt & spike, nothing)
    disturbing = (fell & ~returned) | (leapt & ~_before(seg, at, leapt, nothing))
    fell &= ~after_spike
    low = fell & (after >= before - tolerance)
    return Events(
        at=at,
        firsts=firsts,
        stand=stand,
        fell=fell,
        leapt=leapt,
        peak=peak,
        spike=spike,
        low=low,
        rolled=rolled & (after >= this - tolerance) & ~low,
        after_low=_before(seg, at, low, old["after_low"]),
        after_spike=after_spike,
        exchange=limits.exchanged(before_us, time_us[at]),
        waits=np.isnan(after),
        disturbing=disturbing,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """Where a register's samples are not what they were before, and where gas may have flowed."""

    seg: Segments
    time_us: NDArray[np.int64]
    #: Positions of samples that differ from the one before, and of those whose snapshot does not say rest.
    changes: Positions
    gas: Positions
    old: State

    def since_us(self, at: Positions) -> NDArray[np.int64]:
        """Tell of some samples since when the register stood at what it was right before each."""
        last, here = self._last_change(at)
        return np.where(here, self.time_us[last], self.old["stood_us"][self.seg.meter_of(at)])

    def shown_since_us(self, at: Positions) -> NDArray[np.int64]:
        """Tell since when the register stood at what some samples show; a first one's is its own time."""
        last, here = self._last_change(at, side="right")
        since_us = np.where(here, self.time_us[last], self.old["stood_us"][self.seg.meter_of(at)])
        return np.where(since_us == ABSENT, self.time_us[at], since_us)

    def flowed_us(self, at: Positions) -> NDArray[np.int64]:
        """Tell for how long gas may have flowed while the register stood before some samples; 0: not."""
        since_us = self.gas_since_us(at)
        return np.where(since_us == ABSENT, 0, self.time_us[at] - since_us)

    def gas_since_us(self, at: Positions) -> NDArray[np.int64]:
        """Tell since when gas may have flowed while the register stood before some samples; ABSENT: not."""
        last, here = self._last_change(at)
        begins = np.where(here, last + 1, self.seg.starts[self.seg.segment_of(at)])
        first = np.append(self.gas, self.seg.n)[np.searchsorted(self.gas, begins)]
        first = np.where(first < at, first, at)
        since_us = self.seg.previous_of(self.time_us, first, self.old["before_us"])
        since_us = np.where(first < at, since_us, ABSENT)
        carried_us = np.where(here, ABSENT, self.old["gas_us"][self.seg.meter_of(at)])
        return np.where(carried_us == ABSENT, since_us, carried_us)

    def _last_change(self, at: Positions, side: Literal["left", "right"] = "left") -> tuple[Positions, Mask]:
        """Find the last change before some samples, or up to them, and whether this block has it."""
        rank = np.searchsorted(self.changes, at, side=side)
        last = np.where(rank > 0, self.changes[rank - 1], -1) if len(self.changes) else rank - 1
        return last, last >= self.seg.starts[self.seg.segment_of(at)]


def _candidates(
    block: Block, seg: Segments, time_us: NDArray[np.int64], rise: Floats, speeds: Speeds, old: State
) -> tuple[Positions, Positions]:
    """Leave out, in a few passes, all samples that surely rose as gas does; and the first ones."""
    could_rise = seg.rises(time_us, old["before_us"]) * seg.spread(
        _SURE * np.minimum(speeds.doubtful, speeds.fastest)
    )
    could_rise += seg.spread(_SURE * block.meters.register_step_m3)
    calm = rise >= 0
    calm &= rise <= could_rise
    at = np.flatnonzero(np.logical_not(calm, out=calm))
    first = np.isnan(rise[at])
    return at[~first], at[first]


def _before(seg: Segments, at: Positions, which: Mask, carried: Mask) -> Mask:
    """Tell of each event whether `which` holds of the sample right before it, or was carried of it."""
    out = np.zeros(len(at), dtype=np.bool_)
    out[1:] = which[:-1] & (at[1:] == at[:-1] + 1)
    segment = seg.segment_of(at)
    firsts = at == seg.starts[segment]
    out[firsts] = carried[seg.meters[segment[firsts]]]
    return out
