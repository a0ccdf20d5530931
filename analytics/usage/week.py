"""A week of a prepaid balance: what it lost against what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from analytics.block import Floats
from analytics.segments import Mask

WEEK = 7
#: Days with use that a week must have.
_LEAST_DAYS = 4
#: Of the days of a bad week this share must be bad by themselves, to the same side.
_BAD_DAYS_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """What seven days lost, held against what a volume costs; shapes (m,), of `bad` (m, 7)."""

    #: What was lost beyond the cost, and the cost, in the balance's unit.
    off: Floats
    cost: Floats
    #: Days that differ by themselves, to the side of the week; whether they are half of those with use.
    bad: Mask
    one_sided: Mask
    #: Whether enough days had use.
    enough: Mask
    #: Whether it is held against the standard volume.
    standard: Mask

    @classmethod
    def of(cls, spent: Floats, volume_m3: Floats, price: Floats, share: Floats, slack: Floats) -> Self:
        """Hold what each day lost against what its volume costs, both and the price of shape (m, 7)."""
        off = spent - volume_m3 * price
        cost = np.where(np.isnan(off), 0.0, volume_m3 * price)
        week = np.nansum(off, axis=1)
        bad = np.sign(week)[:, None] * off > share[:, None] * cost + slack[:, None]
        used = (((volume_m3 > 0) | (spent > 0)) & ~np.isnan(off)).sum(axis=1)
        one_sided = bad.sum(axis=1) >= _BAD_DAYS_SHARE * used
        working = np.zeros(len(week), np.bool_)
        return cls(week, cost.sum(axis=1), bad, one_sided, used >= _LEAST_DAYS, working)

    def or_nearer(self, other: Self) -> Self:
        """Take the other week where it is known and its difference is the smaller one."""
        nearer = other.enough & (np.abs(other.off) < np.abs(self.off))
        return type(self)(
            off=np.where(nearer, other.off, self.off),
            cost=np.where(nearer, other.cost, self.cost),
            bad=np.where(nearer[:, None], other.bad, self.bad),
            one_sided=np.where(nearer, other.one_sided, self.one_sided),
            enough=self.enough,
            standard=nearer,
        )
