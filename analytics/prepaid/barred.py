"""Gas that flows although something bars it: a closed valve, or a balance that is used up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Flags, Floats, Verdict
from analytics.prepaid.barrier import Barrier, Run, Stir
from analytics.prepaid.metered import Rise, since_start
from analytics.samples import creep_m3h
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT


def check_barred(block: Block, barrier: Barrier) -> Verdict:
    """Flag readings FAIL that show flow although it is barred.

    A run begins at the first report that bars the flow: what was still to come of the interval
    before is nothing, and so it is UNKNOWN. From its second report on, at a later time, it is a
    finding if snapshots are above `creep_share_of_qmax` Qmax at both this report and the one before,
    `last_gas_s` after the run began; or if a register rose and so has gained more than a step since
    the run's first report, and more than Qmax delivers in `last_gas_s`: a valve takes a while to close.

    After gas was measured like that, reports at rest are UNKNOWN until nothing moved for
    `barred_rest_s`, a day: who passes a closed valve by day rests at night. A coarse register rests
    longer than its last two movements lay apart, so twice that is waited, at most a week. Then they
    are GOOD, and the finding ended with the last movement. Otherwise a report at rest is GOOD at once.
    A single snapshot of flow, and a register that the run knew and the report lacks, is UNKNOWN.

    A run ends with a report that does not bar the flow. It begins anew where gas may have been let through:

    - after a gap longer than the silence limit;
    - where the balance rose: it was topped up;
    - where the balance was above `-overdraft` and is not any more: the valve had been opened again
      after the reminder closure at the alarm balance, and closed when the balance was used up;
    - where a valve closes that was not closed, if the barrier `ends_by_valve`.

    Onset: the report before; value: the larger of the smaller of both snapshots and of the
    register's mean since the run began; limit: what a creeping zero may show, m³/h.
    """
    flags = block.flags(barrier.reported, decidable=~np.asarray(barrier.undecided))
    verdict = Verdict(flags={barrier.code: flags})
    rows = _rows(block, barrier)
    if len(rows) == 0:
        return verdict
    run = Run.of(block, barrier, rows)
    rise = since_start(block, rows, ~run.goes_on, run.since_us, barrier.name)
    stir = Stir.of(block, barrier.name, run, rise)
    flag, value = _judge(block, run, rise, stir)
    flag[~run.barred] = flags[rows[~run.barred]]
    flags[rows] = flag
    # A finding that waited for rest ended when it began.
    onset_us = np.where(flag == Flag.FAIL, run.before_us, np.where(stir.passed, stir.moved_us, run.time_us))
    entries = Decisions(seg=run.seg, time_us=run.time_us, flag=flag, value=value, onset_us=onset_us)
    tracker = Tracker(code=barrier.code, ends_at_onset=True)
    block.track(verdict, entries, tracker, creep_m3h(block), limit_name="creep_share_of_qmax")
    verdict.state |= _carried(block, barrier, run, rise, stir)
    return verdict


def _rows(block: Block, barrier: Barrier) -> NDArray[np.intp]:
    """Give the reports of the few meters whose flow is, or was, barred."""
    touched = block.state[f"{barrier.name}_us"] != ABSENT
    touched |= block.state[barrier.code]["started_us"] != ABSENT
    barred = barrier.barred & ~block.dropout
    if barred.any():
        touched[block.seg.row[barred]] = True
    if not touched.any():
        return np.empty(0, np.intp)
    return np.flatnonzero(barrier.reported & ~block.dropout & touched[block.seg.row])


def _judge(block: Block, run: Run, rise: Rise, stir: Stir) -> tuple[Flags, Floats]:
    """Give each report's flag, where it bars the flow, and value."""
    creep = creep_m3h(block)[run.seg.row]
    closed_us = run.since_us + each(block.limit(lambda p: p.last_gas_s * US_PER_S), run.seg.row)
    flowed = run.decides & (run.flow > creep) & (run.flow_before > creep) & (run.time_us > closed_us)
    gained = stir.rose & stir.passed
    at_rest = np.where(rise.known, ~np.isnan(rise.gained_m3) & ~(run.flow > creep), run.flow <= creep)
    good = run.decides & at_rest & ~stir.waits(block, run)
    flag = np.where(good, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    flag[flowed | gained] = Flag.FAIL
    hours = np.maximum(run.time_us - run.since_us, US_PER_S) / US_PER_H
    seen = np.where(flowed, np.minimum(run.flow, run.flow_before), np.nan)
    return flag, np.fmax(seen, np.where(gained, rise.gained_m3 / hours, np.nan))


def _carried(
    block: Block, barrier: Barrier, run: Run, rise: Rise, stir: Stir
) -> dict[str, NDArray[np.generic]]:
    """Carry a run that goes on at a meter's last report; a meter without one carries nothing."""
    name = barrier.name
    values: dict[str, tuple[NDArray[np.generic], float]] = {
        f"{name}_us": (run.time_us, ABSENT),
        f"{name}_since_us": (run.since_us, ABSENT),
        f"{name}_flow": (run.flow, np.nan),
        f"{name}_balance": (run.balance, np.nan),
        f"{name}_gained": (stir.gained_m3, np.nan),
        f"{name}_moved_us": (stir.moved_us, ABSENT),
        f"{name}_pause_us": (stir.pause_us, ABSENT),
        **{field: (base, np.nan) for field, base in rise.base.items()},
    }
    if barrier.ends_by_valve:
        values[f"{name}_closed"] = (run.closed, False)
    return {
        field: run.seg.closing(np.where(run.barred, value, nothing), block.state[field])
        for field, (value, nothing) in values.items()
    }
