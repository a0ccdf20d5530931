"""How much of the oil's interval is used up by the gas measured."""

from __future__ import annotations

import numpy as np

from analytics.block import Floats
from analytics.segments import Positions
from fleet.meter_table import MeterTable


def volume_share(meters: MeterTable, register_m3: Floats, rows: Positions | slice = slice(None)) -> Floats:
    """Divide what was measured since the oil was filled by the interval; NaN where either is unknown.

    A register below its state at the fill by more than half of what it can show has rolled over;
    by less, it was reversed or exchanged, and the share is negative. `rows` are those of the
    registers' meters.
    """
    measured_m3 = register_m3 - meters.oil_volume_at_fill_m3[rows]
    top_m3 = meters.register_top_m3[rows]
    rolled = measured_m3 < -top_m3 / 2
    share: Floats = (measured_m3 + np.where(rolled, top_m3, 0.0)) / meters.oil_interval_m3[rows]
    return share
