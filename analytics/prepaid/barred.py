"""Gas that flows although something bars it: a closed valve, or a balance that is used up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Flags, Floats, Verdict
from analytics.prepaid.metered import Rise, since_start
from analytics.segments import Mask, Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Barrier:
    """What bars the flow, as told by readings; masks of shape (n,) over the block."""

    code: str
    #: Prefix of the state's fields, see `fields`.
    name: str
    #: Readings that tell whether it does.
    reported: Mask
    #: Those after which no gas may flow, and those that leave it open.
    barred: Mask
    undecided: Mask | bool = False


def fields(name: str) -> tuple[tuple[str, str], ...]:
    """Name what is carried of a meter while its flow is barred; outside of that it is empty."""
    return (
        # The last report, since when the flow is barred, and the last report's snapshot, m³/h.
        (f"{name}_us", "i8"),
        (f"{name}_since_us", "i8"),
        (f"{name}_flow", "f8"),
        # The balance since, and what each register showed first.
        (f"{name}_balance", "f8"),
        (f"{name}_volume", "f8"),
        (f"{name}_std", "f8"),
    )


def check_barred(block: Block, barrier: Barrier) -> Verdict:
    """Flag readings FAIL that show flow although it is barred.

    A run begins at the first report that bars the flow: what was still to come of the interval
    before is nothing, and so it is UNKNOWN. From its second report on, at a later time, it is a
    finding if snapshots are above `creep_share_of_qmax` Qmax at both this report and the one before,
    or if a register gained more than a step since the run's first one. A single such snapshot, or a
    register that the run knew and this report lacks, is UNKNOWN; all else GOOD. A run ends with a
    report that does not bar the flow. It begins anew where gas may have been let through in between:

    - after a gap longer than the silence limit;
    - where the balance rose: it was topped up;
    - where the balance was above `-overdraft` and is not any more: the valve had been opened again
      after the reminder closure at the alarm balance, and closed when the balance was used up.

    Onset: the report before; value: the larger of the smaller of both snapshots and of the
    register's mean since the run began; limit: what a creeping zero may show, m³/h.
    """
    flags = block.flags(barrier.reported, decidable=~np.asarray(barrier.undecided))
    verdict = Verdict(flags={barrier.code: flags})
    rows = _rows(block, barrier)
    if len(rows) == 0:
        return verdict
    run = _Run.of(block, barrier, rows)
    rise = since_start(block, rows, ~run.goes_on, run.since_us, barrier.name)
    flag, value = _judge(block, run, rise)
    flag[~run.barred] = flags[rows[~run.barred]]
    flags[rows] = flag
    entries = Decisions(seg=run.seg, time_us=run.time_us, flag=flag, value=value, onset_us=run.before_us)
    block.track(
        verdict, entries, Tracker(code=barrier.code), creep_m3h(block), limit_name="creep_share_of_qmax"
    )
    verdict.state |= _carried(block, barrier.name, run, rise)
    return verdict


def creep_m3h(block: Block) -> Floats:
    """Work out the flow that a creeping zero may show, shape (m,); 0 where Qmax is not known."""
    share = block.limit(lambda p: p.creep_share_of_qmax)
    return np.nan_to_num(share * block.meters.qmax_m3h)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """Reports of meters whose flow is barred at some of them, as arrays of shape (k,)."""

    seg: Segments
    time_us: NDArray[np.int64]
    before_us: NDArray[np.int64]
    barred: Mask
    #: In a run, and not its first report.
    goes_on: Mask
    since_us: NDArray[np.int64]
    flow: Floats
    flow_before: Floats
    balance: Floats

    @classmethod
    def of(cls, block: Block, barrier: Barrier, rows: NDArray[np.intp]) -> _Run:
        name, state, seg = barrier.name, block.state, block.seg.take(rows)
        time_us, barred, flow = block.time_us[rows], barrier.barred[rows], block.readings.flow_m3h[rows]
        before_us = seg.previous(time_us, state[f"{name}_us"])
        linked = barred & seg.previous(barred, state[f"{name}_us"] != ABSENT)
        linked &= time_us - before_us <= block.silent_limit_us[seg.row]
        balance = block.readings.balance[rows]
        balance = seg.latest(balance, ~np.isnan(balance) | ~linked, state[f"{name}_balance"])
        balance_before = seg.previous(balance, state[f"{name}_balance"])
        floor = -each(block.limit(lambda p: p.overdraft), seg.row)
        opened = (balance > balance_before) | ((balance <= floor) & (balance_before > floor))
        goes_on = linked & ~opened
        return cls(
            seg=seg,
            time_us=time_us,
            before_us=before_us,
            barred=barred,
            goes_on=goes_on,
            since_us=seg.latest(time_us, ~goes_on, state[f"{name}_since_us"]),
            flow=flow,
            flow_before=seg.previous(flow, state[f"{name}_flow"]),
            balance=balance,
        )


def _judge(block: Block, run: _Run, rise: Rise) -> tuple[Flags, Floats]:
    """Give each report's flag, where it bars the flow, and value."""
    decides = run.goes_on & (run.time_us > run.before_us)
    creep = creep_m3h(block)[run.seg.row]
    flowed = decides & (run.flow > creep) & (run.flow_before > creep)
    gained = decides & rise.more_than(block.meters.register_step_m3[run.seg.row])
    at_rest = np.where(rise.known, ~np.isnan(rise.gained_m3) & ~(run.flow > creep), run.flow <= creep)
    flag = np.where(decides & at_rest, np.uint8(Flag.GOOD), np.uint8(Flag.UNKNOWN))
    flag[flowed | gained] = Flag.FAIL
    hours = np.maximum(run.time_us - run.since_us, US_PER_S) / US_PER_H
    seen = np.where(flowed, np.minimum(run.flow, run.flow_before), np.nan)
    return flag, np.fmax(seen, np.where(gained, rise.gained_m3 / hours, np.nan))


def _carried(block: Block, name: str, run: _Run, rise: Rise) -> dict[str, NDArray[np.generic]]:
    """Carry a run that goes on at a meter's last report; a meter without one carries nothing."""
    values = {
        f"{name}_us": (run.time_us, ABSENT),
        f"{name}_since_us": (run.since_us, ABSENT),
        f"{name}_flow": (run.flow, np.nan),
        f"{name}_balance": (run.balance, np.nan),
        **{field: (base, np.nan) for field, base in rise.base.items()},
    }
    return {
        field: run.seg.closing(np.where(run.barred, value, nothing), block.state[field])
        for field, (value, nothing) in values.items()
    }
