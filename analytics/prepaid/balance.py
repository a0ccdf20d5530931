"""Balances of prepaid customers: who is about to be cut off, and who is."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Verdict, tracked
from analytics.tracking import Tracker
from fleet.flags import Flag


def check_balance(block: Block) -> Verdict:
    """Flag prepaid meters' balances: `balance_low` in (0, low_balance], `balance_exhausted` at 0 or below.

    Both SUSPECT, in the meter's own unit; value: the lowest balance. A meter that is not prepaid
    is MISSING; one without a `low_balance` is UNKNOWN to the first check.
    """
    row, balance = block.seg.row, block.readings.balance
    low_balance = block.meters.low_balance[row]
    present = ~np.isnan(balance) & block.meters.prepaid[row]
    able = present & ~block.dropout
    low = block.flags(present, decidable=~np.isnan(low_balance))
    low[able & (balance > 0) & (balance <= low_balance)] = Flag.SUSPECT
    exhausted = block.flags(present)
    exhausted[able & (balance <= 0)] = Flag.SUSPECT

    verdict = Verdict(flags={"balance_low": low, "balance_exhausted": exhausted})
    limits = {"balance_low": block.meters.low_balance, "balance_exhausted": np.zeros(len(block.meters))}
    for code, limit in limits.items():
        entries = block.decisions(verdict.flags[code], balance)
        applies = block.meters.prepaid & ~np.isnan(limit)
        tracker = Tracker(code=code, worse=np.fmin)
        limit_name = "low_balance" if code == "balance_low" else None
        block.track(verdict, entries, tracker, limit, limit_name=limit_name, applies=applies)
    return verdict


CHECK = Check(
    codes=("balance_low", "balance_exhausted"),
    run=check_balance,
    tracks=tracked("balance_low", "balance_exhausted"),
)
