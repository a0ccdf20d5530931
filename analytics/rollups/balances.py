"""What a prepaid meter's balance lost and gained between neighbouring reports, and the volume meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.rollups.registers import moved_m3
from analytics.segments import Mask
from fleet.columns import Columns
from fleet.meter_table import MeterTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BalancePairs(Columns):
    """n pairs of neighbouring reports of one meter's balance, as arrays of shape (n,)."""

    meter_key: NDArray[np.int32]
    elapsed_us: NDArray[np.int64]
    #: Balance after less balance before.
    change: Floats
    #: The registers beside the two balances, m³, and whether each is the standard one.
    before_m3: Floats
    after_m3: Floats
    before_standard: Mask
    after_standard: Mask

    def account(
        self, meters: MeterTable, group: NDArray[np.intp], size: int
    ) -> dict[str, NDArray[np.float64]]:
        """Sum up per group, of which there are `size`, what was spent and added, and its volumes.

        Between a working and a standard register there is no volume.
        """
        moves = np.flatnonzero(self.change)
        pairs, group = self.take(moves), group[moves]
        volume_m3 = moved_m3(
            meters,
            pairs.meter_key,
            pairs.elapsed_us,
            pairs.before_m3,
            pairs.after_m3,
            pairs.after_standard,
        )
        volume_m3[pairs.before_standard != pairs.after_standard] = 0.0
        fell, rose = pairs.change < 0, pairs.change > 0
        amounts = {
            "balance_spent": (fell, -pairs.change),
            "balance_added": (rose, pairs.change),
            "spent_volume": (fell, volume_m3),
            "added_volume": (rose, volume_m3),
        }
        return {
            name: np.bincount(group[where], weights=values[where], minlength=size).astype(np.float64)
            for name, (where, values) in amounts.items()
        }
