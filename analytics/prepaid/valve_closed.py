"""Gas that passes a closed valve."""

from __future__ import annotations

from analytics.block import Block, Check, Verdict, tracked
from analytics.prepaid.barred import check_barred
from analytics.prepaid.barrier import Barrier, fields
from fleet.readings import ABSENT
from fleet.wire import VALVES

_CLOSED = VALVES.index("closed")


def check_valve_closed(block: Block) -> Verdict:
    """Flag readings FAIL that show flow at a valve reported closed at this report and the one before.

    The rule is that of `barred.check_barred`: an open valve is GOOD, one that moves or is at fault
    UNKNOWN, and ends the run without ending a finding; a reading without a valve is MISSING.
    Onset: the report before; value: m³/h.
    """
    valve = block.readings.valve
    closed, reported = valve == _CLOSED, valve != ABSENT
    barrier = Barrier(
        code="flow_with_valve_closed",
        name="valve",
        reported=reported,
        barred=closed,
        undecided=valve > _CLOSED,
    )
    return check_barred(block, barrier)


CHECK = Check(
    codes=("flow_with_valve_closed",),
    run=check_valve_closed,
    carries=fields("valve"),
    tracks=tracked("flow_with_valve_closed"),
)
