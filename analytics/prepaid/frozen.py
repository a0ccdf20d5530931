"""Balances that stand still while the register moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Flags, Floats, Verdict, tracked
from analytics.prepaid.metered import leapt, settled
from analytics.register.reversal import Registers, registered
from analytics.runs import Runs
from analytics.samples import Samples
from analytics.segments import Mask, Positions, Segments, lowest_so_far
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each
from fleet.readings import ABSENT

_CODE = "balance_frozen"


def check_frozen(block: Block) -> Verdict:
    """Flag a prepaid meter's balance SUSPECT that does not change although gas is measured.

    A run begins at a reading whose balance differs from the one before, and its age counts from the
    last reading before gas was measured at that balance, for nothing is owed over an idle weekend. It
    is a finding once it is `balance_frozen_for_s` old (some are settled once a day), the balance is above
    `-overdraft`, and the register has risen since by `balance_frozen_steps` steps and by
    `balance_frozen_at_least_m3`; from then on until the balance changes. The rise is counted from
    the lowest register of the run, which a roll-over or an exchanged meter makes lower; it is
    counted anew where the register fell or rose faster than gas should, and after a gap longer
    than the silence limit, in which the meter may have been exchanged.

    UNKNOWN is an old run at a reading without a register that counts; MISSING a reading without
    a balance, or of a meter that is not prepaid. At a balance that is used up nothing is frozen:
    see `flow_without_balance`. Onset: where the age counts from; value: the rise, m³.
    """
    if not block.meters.prepaid.any():
        return Verdict(flags={_CODE: block.nothing_reported()})
    present = ~np.isnan(block.readings.balance)
    if not block.meters.prepaid.all():
        present &= block.seg.spread(block.meters.prepaid)
    samples = Samples.of(block, block.readings.balance, present)
    run = _Run.of(block, samples)
    risen_m3, lowest = _risen(block, run)
    flags = samples.good()
    flags[run.at] = _judge(block, run, risen_m3)
    verdict = Verdict(flags={_CODE: samples.flags(flags)})
    value, onset_us = np.full(len(flags), np.nan), samples.time_us.copy()
    value[run.at], onset_us[run.at] = risen_m3, run.since_us
    block.track(
        verdict,
        samples.decisions(flags, value, onset_us),
        Tracker(code=_CODE),
        _limit_m3(block),
        limit_name="balance_frozen_steps",
        applies=block.meters.prepaid,
    )
    verdict.state |= run.state(block, samples) | lowest
    return verdict


def _limit_m3(block: Block) -> Floats:
    steps_m3 = block.limit(lambda p: p.balance_frozen_steps) * block.meters.register_step_m3
    limit: Floats = np.maximum(steps_m3, block.limit(lambda p: p.balance_frozen_at_least_m3))
    return limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """Samples of runs of the same balance, as arrays of shape (k,).

    Only of runs that last long enough to be a finding, and of the one that each meter's last sample is in.
    """

    seg: Segments
    #: Positions among the samples with a balance, and among the block's readings.
    at: Positions
    rows: Positions
    time_us: NDArray[np.int64]
    changed: Mask
    #: Gas was measured since the balance last changed, at each meter's last reading of all; shape (m,).
    used_at_last: Mask
    #: The last reading before gas was measured at this balance.
    since_us: NDArray[np.int64]
    #: The run is so old that it may be a finding.
    old: Mask

    @classmethod
    def of(cls, block: Block, samples: Samples) -> _Run:
        # NaN before the first: it differs.
        same = samples.value == samples.seg.previous(samples.value, block.state["frozen_balance"])
        at = _worth_a_look(block, samples, same)
        seg, rows, time_us = samples.seg.take(at), samples.row_of(at), samples.time_us[at]
        changed = ~same[at]
        used, used_at_last = _used(block, seg, rows, changed)
        since_us = seg.latest(time_us, changed | ~used, block.state["frozen_since_us"])
        old = time_us - since_us >= each(_for_us(block), seg.row)
        old &= samples.value[at] > -each(block.limit(lambda p: p.overdraft), seg.row)
        return cls(
            seg=seg,
            at=at,
            rows=rows,
            time_us=time_us,
            changed=changed,
            used_at_last=used_at_last,
            since_us=since_us,
            old=old,
        )

    def state(self, block: Block, samples: Samples) -> dict[str, NDArray[np.generic]]:
        """Carry each meter's last balance, and since when gas is measured at it."""
        state = block.state
        return {
            "frozen_used": self.used_at_last,
            "frozen_us": samples.closing(samples.time_us, state["frozen_us"]),
            "frozen_balance": samples.closing(samples.value, state["frozen_balance"]),
            "frozen_since_us": self.seg.closing(self.since_us, state["frozen_since_us"]),
        }


def _for_us(block: Block) -> Limit:
    return block.limit(lambda p: p.balance_frozen_for_s * US_PER_S)


def _worth_a_look(block: Block, samples: Samples, same: Mask) -> Positions:
    """Find the samples of long runs, and of each meter's last one."""
    seg, time_us = samples.seg, samples.time_us
    runs = Runs.of(seg, np.flatnonzero(same))
    long = time_us[runs.lasts] - runs.first_of(time_us, block.state["frozen_since_us"])
    chosen = long >= each(_for_us(block), runs.meters)
    wanted = seg.marks(seg.stops - 1)
    chosen |= wanted[runs.lasts]
    some = runs.take(chosen)
    wanted[some.at] = True
    firsts = some.at[some.heads]
    # A run that began before this block has its first sample there.
    wanted[firsts[firsts != seg.starts[seg.segment_of(firsts)]] - 1] = True
    return np.flatnonzero(wanted)


def _used(block: Block, seg: Segments, rows: Positions, changed: Mask) -> tuple[Mask, Mask]:
    """Tell at which samples a register has moved since the balance last changed, or nobody knows.

    And the same at each prepaid meter's last reading, shape (m,), which may have no balance.
    """
    moved = np.flatnonzero(block.once(Registers.of).moved | ~block.once(registered))
    moves, carried = np.searchsorted(moved, rows, side="right"), block.state["frozen_used"]
    before, at_last = np.zeros((2, len(block.meters)), dtype=np.intp)
    nothing = np.zeros(len(block.meters), dtype=np.bool_)
    before[block.seg.meters] = np.searchsorted(moved, block.seg.starts)
    at_last[block.seg.meters] = np.searchsorted(moved, block.seg.stops)
    at_change = seg.latest(moves, changed, before)
    seen = seg.latest(changed, changed, nothing)
    used: Mask = (moves > at_change) | (~seen & carried[seg.row])
    used_at_last = at_last > seg.closing(at_change, before)
    used_at_last |= ~seg.closing(seen, nothing) & carried
    return used, np.where(block.meters.prepaid, used_at_last, carried)


def _judge(block: Block, run: _Run, risen_m3: Floats) -> Flags:
    """Flag the samples of the runs; what was found stays found until the balance changes."""
    limit_m3 = np.broadcast_to(_limit_m3(block), block.meters.meter_key.shape)
    hit = run.old & (risen_m3 >= limit_m3[run.seg.row])
    found = run.seg.latest(hit, hit | run.changed, block.state[_CODE]["started_us"] != ABSENT)
    flag = np.where(run.old & np.isnan(risen_m3), np.uint8(Flag.UNKNOWN), np.uint8(Flag.GOOD))
    flag[found] = Flag.SUSPECT
    return flag


def _risen(block: Block, run: _Run) -> tuple[Floats, dict[str, Floats]]:
    """Give the rise since the run began, m³, and the registers' lowest to carry."""
    registers, rows, seg = block.once(Registers.of), run.rows, run.seg
    gap_us = seg.rises(run.time_us, block.state["frozen_us"])
    starts = run.changed | (gap_us > block.silent_limit_us[seg.row])
    risen = np.full(len(rows), np.nan)
    carried: dict[str, Floats] = {}
    looks = (
        ("frozen_volume", registers.volume, block.volume_m3),
        ("frozen_std", registers.std_volume, block.std_volume_m3),
    )
    for _, series, _ in looks:
        # Most likely another meter.
        starts |= leapt(series)[rows]
    for field, series, register in looks:
        value, old = settled(series, register, rows), block.state[field]
        lowest = _lowest(seg, value, starts, old)
        risen = np.where(np.isnan(risen), value - lowest, risen)
        carried[field] = seg.closing(lowest, old)
    return risen, carried


def _lowest(seg: Segments, value: Floats, starts: Mask, carried: Floats) -> Floats:
    """Run the minimum from each start, NaN while nothing is known."""
    known = np.where(np.isnan(value), np.inf, value)
    goes_on = seg.first & ~starts
    known[goes_on] = np.fmin(known[goes_on], carried[seg.row[goes_on]])
    lowest = lowest_so_far(known, starts | seg.first)
    return np.where(np.isinf(lowest), np.nan, lowest)


CHECK = Check(
    codes=(_CODE,),
    run=check_frozen,
    carries=(
        # The last reading with a balance, that balance, whether gas was measured at it, and since when.
        ("frozen_us", "i8"),
        ("frozen_balance", "f8"),
        ("frozen_used", "?"),
        ("frozen_since_us", "i8"),
        # The lowest of each register since.
        ("frozen_volume", "f8"),
        ("frozen_std", "f8"),
    ),
    tracks=tracked(_CODE),
)
