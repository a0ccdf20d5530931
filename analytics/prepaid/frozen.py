"""Balances that stand still while the register moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Flags, Floats, Verdict, tracked
from analytics.prepaid.metered import leapt, settled
from analytics.register.reversal import Registers
from analytics.segments import Mask, Segments, lowest_so_far
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
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
    present = ~np.isnan(block.readings.balance) & block.meters.prepaid[block.seg.row]
    flags = block.flags(present)
    rows = np.flatnonzero(present & ~block.dropout)
    run = _Run.of(block, rows)
    at = run.of_interest
    risen_m3, lowest = _risen(block, run, at)
    limit_m3 = np.broadcast_to(_limit_m3(block), block.meters.meter_key.shape)
    flag, value = np.full(len(rows), Flag.GOOD, dtype=np.uint8), np.full(len(rows), np.nan)
    flag[at], value[at] = _judge(block, run, at, risen_m3 >= limit_m3[run.seg.row[at]], risen_m3), risen_m3
    flags[rows] = flag
    verdict = Verdict(flags={_CODE: flags})
    entries = Decisions(seg=run.seg, time_us=run.time_us, flag=flag, value=value, onset_us=run.since_us)
    applies = block.meters.prepaid
    block.track(
        verdict, entries, Tracker(code=_CODE), limit_m3, limit_name="balance_frozen_steps", applies=applies
    )
    verdict.state |= run.state(block) | lowest
    return verdict


def _limit_m3(block: Block) -> Floats:
    steps_m3 = block.limit(lambda p: p.balance_frozen_steps) * block.meters.register_step_m3
    limit: Floats = np.maximum(steps_m3, block.limit(lambda p: p.balance_frozen_at_least_m3))
    return limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """Readings with a balance, as arrays of shape (k,); a run is one of the same balance."""

    seg: Segments
    rows: NDArray[np.intp]
    time_us: NDArray[np.int64]
    balance: Floats
    changed: Mask
    #: Gas was measured since the balance last changed; and the last reading before that.
    used: Mask
    #: The same at each meter's last reading of all, shape (m,).
    used_at_last: Mask
    since_us: NDArray[np.int64]
    #: The run is so old that it may be a finding.
    old: Mask

    @classmethod
    def of(cls, block: Block, rows: NDArray[np.intp]) -> _Run:
        seg, time_us, balance = block.seg.take(rows), block.time_us[rows], block.readings.balance[rows]
        # NaN before the first: it differs.
        changed = balance != seg.previous(balance, block.state["frozen_balance"])
        used, used_at_last = _used(block, seg, rows, changed)
        since_us = seg.latest(time_us, changed | ~used, block.state["frozen_since_us"])
        for_us = each(block.limit(lambda p: p.balance_frozen_for_s * US_PER_S), seg.row)
        old = time_us - since_us >= for_us
        if old.any():
            old &= balance > -each(block.limit(lambda p: p.overdraft), seg.row)
        return cls(
            seg=seg,
            rows=rows,
            time_us=time_us,
            balance=balance,
            changed=changed,
            used=used,
            used_at_last=used_at_last,
            since_us=since_us,
            old=old,
        )

    @property
    def of_interest(self) -> NDArray[np.intp]:
        """Find the samples of old runs, and of the one that each meter's last sample is in."""
        number = np.cumsum(self.changed | self.seg.first)
        wanted = np.zeros(len(number) + 1, dtype=np.bool_)
        wanted[number[self.old | self.seg.last]] = True
        return np.flatnonzero(wanted[number])

    def state(self, block: Block) -> dict[str, NDArray[np.generic]]:
        """Carry each meter's last balance, and since when gas is measured at it."""
        return {
            "frozen_used": self.used_at_last,
            "frozen_us": self.seg.closing(self.time_us, block.state["frozen_us"]),
            "frozen_balance": self.seg.closing(self.balance, block.state["frozen_balance"]),
            "frozen_since_us": self.seg.closing(self.since_us, block.state["frozen_since_us"]),
        }


def _used(block: Block, seg: Segments, rows: NDArray[np.intp], changed: Mask) -> tuple[Mask, Mask]:
    """Tell at which samples a register has moved since the balance last changed, or nobody knows.

    And the same at each prepaid meter's last reading, shape (m,), which may have no balance.
    """
    moved = block.once(Registers.of).moved | (np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3))
    moves = np.cumsum(moved)
    before = block.seg.opening(moves - moved, np.zeros(len(block.meters), dtype=np.int64))
    at_change = seg.latest(moves[rows], changed, before)
    carried, nothing = block.state["frozen_used"], np.zeros(len(block.meters), dtype=np.bool_)
    seen = seg.latest(changed, changed, nothing)
    used: Mask = (moves[rows] > at_change) | (~seen & carried[seg.row])
    at_last = block.seg.closing(moves, before) > seg.closing(at_change, before)
    at_last |= ~seg.closing(seen, nothing) & carried
    return used, np.where(block.meters.prepaid, at_last, carried)


def _judge(block: Block, run: _Run, at: NDArray[np.intp], enough: Mask, risen_m3: Floats) -> Flags:
    """Flag the samples at `at`; what was found stays found until the balance changes."""
    seg, changed, old = run.seg.take(at), run.changed[at], run.old[at]
    hit = old & enough
    found = seg.latest(hit, hit | changed, block.state[_CODE]["started_us"] != ABSENT)
    flag = np.where(old & np.isnan(risen_m3), np.uint8(Flag.UNKNOWN), np.uint8(Flag.GOOD))
    flag[found] = Flag.SUSPECT
    return flag


def _risen(block: Block, run: _Run, at: NDArray[np.intp]) -> tuple[Floats, dict[str, Floats]]:
    """Give the rise since the run began at the samples `at`, m³, and the registers' lowest to carry."""
    registers, rows, seg = block.once(Registers.of), run.rows[at], run.seg.take(at)
    gap_us = (run.time_us - run.seg.previous(run.time_us, block.state["frozen_us"]))[at]
    starts = run.changed[at] | (gap_us > block.silent_limit_us[seg.row])
    risen = np.full(len(at), np.nan)
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
