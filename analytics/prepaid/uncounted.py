"""Registers that stand still while the balance is spent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Floats, Tracked, Verdict
from analytics.prepaid.metered import first_of_run
from analytics.register.reversal import Registers
from analytics.segments import Mask, Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT

_CODE = "register_stalled"


def check_uncounted(block: Block) -> Verdict:
    """Flag a register SUSPECT (`register_stalled`) that stands still while gas is paid for.

    Looked at are prepaid meters of which the price of a cubic metre is known, at readings with a
    balance and a register. A run goes on while no register moves, falls or leaps, the balance does
    not rise, and no gap is longer than the silence limit. Its first fall of the balance does not
    count: it may settle what was measured before. It is a finding once what was spent since that
    fall would have moved the register by `stalled_steps` steps, and that fall is `stalled_for_s`
    old. Onset: that fall; value: what was paid for, m³. A standing charge looks the same.
    """
    counted = block.meters.prepaid & (block.meters.price_per_m3 > 0)
    if not counted.any():
        return Verdict(flags={_CODE: block.nothing_reported()})
    balance, disturbed = block.readings.balance, block.once(Registers.of).disturbed
    mine = counted[block.seg.row]
    present = mine & ~np.isnan(balance) & ~(np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3))
    rows = np.flatnonzero((present & ~block.dropout) | (disturbed & mine))
    run = _Run.of(block, rows, np.where(present[rows], balance[rows], np.nan), disturbed[rows])
    price = block.meters.price_per_m3[run.seg.row]
    paid_m3 = (run.spent_from - run.balance) / price
    limit_m3 = block.limit(lambda p: p.stalled_steps) * block.meters.register_step_m3
    for_us = each(block.limit(lambda p: p.stalled_for_s * US_PER_S), run.seg.row)
    stalled = (paid_m3 >= limit_m3[run.seg.row]) & (run.time_us - run.spent_from_us >= for_us)
    # Without a fall in the run there is nothing to tell; a register that moved is not stalled.
    decided = present[rows] | disturbed[rows]
    flag = np.where(decided, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    flag[stalled] = Flag.SUSPECT
    flags = block.flags(present)
    flags[rows[stalled]] = Flag.SUSPECT
    verdict = Verdict(flags={_CODE: flags}, state=run.state(block))
    onset_us = np.where(stalled, run.spent_from_us, run.time_us).astype(np.int64)
    entries = Decisions(seg=run.seg, time_us=run.time_us, flag=flag, value=paid_m3, onset_us=onset_us)
    block.track(
        verdict,
        entries,
        Tracker(code=_CODE),
        limit_m3,
        limit_name=("stalled_steps", "register_step_m3"),
        name="uncounted",
        applies=counted,
    )
    return verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """Runs of readings over which the register stood, as arrays of shape (k,)."""

    seg: Segments
    time_us: NDArray[np.int64]
    #: The last known one.
    balance: Floats
    #: The balance after the run's first fall, and when that was, microseconds; NaN before it.
    spent_from: Floats
    spent_from_us: Floats

    @classmethod
    def of(cls, block: Block, rows: NDArray[np.intp], balance: Floats, disturbed: Mask) -> _Run:
        seg, time_us, state = block.seg.take(rows), block.time_us[rows], block.state
        elapsed_us = time_us - seg.previous(time_us, state["uncounted_us"])
        known = ~np.isnan(balance)
        if not known.all():
            balance = seg.latest(balance, known, state["uncounted_balance"])
        before = seg.previous(balance, state["uncounted_balance"])
        starts = disturbed | (elapsed_us > block.silent_limit_us[seg.row]) | (balance > before)
        falls = ~starts & (balance < before)
        # A run of one sample that is not a meter's last has nothing to tell.
        at = np.flatnonzero(~starts | ~seg.following(starts, fill=False))
        some, starts, falls = seg.take(at), starts[at], falls[at]
        spent_from, spent_from_us = np.full((2, len(seg)), np.nan)
        spent_from[at] = first_of_run(some, np.where(falls, balance[at], np.nan), starts, state["spent_from"])
        # Microseconds since 1970 are exact in a float64 for 285 years.
        spent_from_us[at] = first_of_run(
            some, np.where(falls, time_us[at], np.nan), starts, _or_nan(state["spent_from_us"])
        )
        return cls(
            seg=seg,
            time_us=time_us,
            balance=balance,
            spent_from=spent_from,
            spent_from_us=spent_from_us,
        )

    def state(self, block: Block) -> dict[str, NDArray[np.generic]]:
        """Carry what goes on at each meter's last sample."""
        state = block.state
        since_us = np.where(np.isnan(self.spent_from_us), ABSENT, self.spent_from_us).astype(np.int64)
        return {
            "uncounted_us": self.seg.closing(self.time_us, state["uncounted_us"]),
            "uncounted_balance": self.seg.closing(self.balance, state["uncounted_balance"]),
            "spent_from": self.seg.closing(self.spent_from, state["spent_from"]),
            "spent_from_us": self.seg.closing(since_us, state["spent_from_us"]),
        }


def _or_nan(time_us: NDArray[np.int64]) -> Floats:
    return np.where(time_us == ABSENT, np.nan, time_us)


CHECK = Check(
    codes=(_CODE,),
    run=check_uncounted,
    carries=(
        # The last sample, the last known balance, and the first fall since the register stands.
        ("uncounted_us", "i8"),
        ("uncounted_balance", "f8"),
        ("spent_from", "f8"),
        ("spent_from_us", "i8"),
    ),
    tracks=(Tracked("uncounted", "register_stalled"),),
)
