"""Gas that flows although nothing is left to pay for it."""

from __future__ import annotations

import numpy as np

from analytics.block import Block, Check, Verdict, tracked
from analytics.prepaid.barred import check_barred
from analytics.prepaid.barrier import Barrier, fields
from fleet.meter_table import each

_CODE = "flow_without_balance"


def check_without_balance(block: Block) -> Verdict:
    """Flag readings FAIL that show flow at a balance used up at this report and the one before.

    Used up is a balance at or below `-overdraft`: 0, or as far below as the customer may go. The
    rule is that of `barred.check_barred`, and what came until a valve closed is nothing: it may take
    longer than the balance lasts. A meter that is not prepaid and a reading without a balance
    are MISSING. Onset: the report before; value: m³/h.
    """
    if not block.meters.prepaid.any():
        return Verdict(flags={_CODE: block.nothing_reported()})
    row, balance = block.seg.row, block.readings.balance
    reported = ~np.isnan(balance) & block.meters.prepaid[row]
    used_up = reported & (balance <= -each(block.limit(lambda p: p.overdraft), row))
    return check_barred(
        block, Barrier(code=_CODE, name="broke", reported=reported, barred=used_up, ends_by_valve=True)
    )


CHECK = Check(
    codes=(_CODE,),
    run=check_without_balance,
    carries=(*fields("broke"), ("broke_closed", "?")),
    tracks=tracked(_CODE),
)
