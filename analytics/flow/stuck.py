"""Snapshots that stand still although the gas does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Check, Flags, Floats, Verdict, tracked
from analytics.flow.snapshots import Snapshots
from analytics.register.reversal import Registers
from analytics.rollups.registers import shown_decimals
from analytics.runs import Runs
from analytics.samples import Samples
from analytics.segments import Mask, Positions
from analytics.tracking import Tracker
from fleet.flags import Flag
from fleet.meter_table import Limit, each

_CODE = "flow_stuck"


def check_stuck(block: Block) -> Verdict:
    """Flag snapshots above 0 that stay the same, to the last digit, for a long time.

    SUSPECT after `stuck_for_s`, FAIL after `stuck_fail_for_s`, and neither before
    `stuck_after_intervals` of the meter's interval. A burner that burns steadily, one that is either off
    or full on, and a meter that shows few digits repeat themselves as well. So it must be, besides,

    - improbable: so many equal snapshots in a row have a probability of at most `stuck_chance` at a
      meter that repeats a snapshot above 0 as often as this one did before the run;
    - untrue: the working register's mean since the run began differs from the snapshot by more
      than `stuck_agreement` of it, or by one of the last digit that the snapshot shows if that is more
      (a pilot flame of 0.34 may be shown as 0.3), and two register steps. Without a register nothing
      contradicts.

    Zero is no flow, and not stuck. A gap longer than the silence limit begins the run anew. A meter's first
    snapshot is GOOD, a second one of the same time UNKNOWN. Onset: the first of the equal
    snapshots; value: the snapshot, m³/h.

    Source: IOOS, "Manual for Real-Time Quality Control", test 8 (flat line), by time as
    `kernels.flat.flat_line` with a tolerance of 0; not that kernel itself, for a run is judged by its count
    and by the register at its beginning too, and all three are carried as numbers.
    """
    state = block.state
    snapshots = block.once(Snapshots.of)
    samples, seg, time_us = snapshots.samples, snapshots.samples.seg, snapshots.samples.time_us
    burning = samples.value > 0
    at = np.flatnonzero((snapshots.rise == 0) & burning)
    near = snapshots.elapsed_us[at] <= block.silent_limit_us[seg.meter_of(at)]
    runs = Runs.of(seg, at[near])
    history = _History.of(block, runs, np.flatnonzero(burning))
    since_us = runs.first_of(time_us, state["stuck_since_us"])
    flag = _judge(block, samples, runs, history, since_us)

    verdict = Verdict(flags={_CODE: samples.flags(flag)})
    onset_us = time_us.copy()
    onset_us[runs.at] = runs.spread(since_us)
    entries = samples.decisions(flag, samples.value, onset_us)
    block.track(verdict, entries, Tracker(code=_CODE), np.nan, limit_name="stuck_for_s")
    verdict.state |= {
        "stuck_since_us": samples.closing(onset_us, state["stuck_since_us"]),
        **history.carried,
        **_register_carried(block, samples, runs),
    }
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class _History:
    """How often a meter showed a flow above 0, and how often the next snapshot was the same."""

    #: Shape (r,): up to the beginning of each run.
    shown: NDArray[np.int64]
    repeated: NDArray[np.int64]
    #: Shape (r,): how many of each run's repetitions were in blocks before.
    before: NDArray[np.int64]
    #: The state's fields, per meter.
    carried: dict[str, NDArray[np.int64]]

    @classmethod
    def of(cls, block: Block, runs: Runs, burning: Positions) -> _History:
        state, seg = block.state, runs.seg
        was_burning = (state["flow_tail"] > 0).astype(np.int64)
        heads = runs.at[runs.heads]
        segment = seg.segment_of(heads)
        meter, start = seg.meters[segment], seg.starts[segment]
        before = np.where(heads == start, state["stuck_count"][meter], 0)
        # All before the run's first sample: the repetitions of the run itself do not count.
        shown = _count(burning, start, heads) + was_burning[meter] + state["stuck_shown"][meter]
        repeated = _count(runs.at, start, heads) + state["stuck_repeated"][meter]
        carried = {name: state[name].copy() for name in ("stuck_shown", "stuck_repeated", "stuck_count")}
        last = seg.stops - 1
        carried["stuck_shown"][seg.meters] += _count(burning, seg.starts, last) + was_burning[seg.meters]
        carried["stuck_repeated"][seg.meters] += _count(runs.at, seg.starts, seg.stops)
        carried["stuck_count"][seg.meters] = 0
        open_ = runs.lasts == last[segment]
        carried["stuck_count"][meter[open_]] = (runs.counts + before)[open_]
        return cls(shown - 1 - before, repeated - before, before, carried)

    def needed(self, chance: Limit) -> Floats:
        """Give the repetitions that are as improbable as `chance`, shape (r,)."""
        # No history is long enough for a share nearer to none or to all.
        probability = np.clip((self.repeated + 1) / np.maximum(self.shown + 2, 1), 0.01, 0.99)
        needed: Floats = np.log(chance) / np.log(probability)
        return needed


def _count(at: Positions, begin: Positions, end: Positions) -> NDArray[np.int64]:
    """Count the positions from each `begin` up to and without each `end`."""
    return np.asarray(np.searchsorted(at, end) - np.searchsorted(at, begin), dtype=np.int64)


def _judge(
    block: Block, samples: Samples, runs: Runs, history: _History, since_us: NDArray[np.int64]
) -> Flags:
    flag = samples.good()
    meter = runs.meters
    least_s = block.limit(lambda p: p.stuck_after_intervals) * block.meters.interval_s
    for_us = np.maximum(block.limit(lambda p: p.stuck_for_s), least_s) * US_PER_S
    fail_us = np.maximum(block.limit(lambda p: p.stuck_fail_for_s), least_s) * US_PER_S
    needed = history.needed(each(block.limit(lambda p: p.stuck_chance), meter))
    long = samples.time_us[runs.lasts] - since_us >= for_us[meter]
    long &= runs.counts + history.before >= needed
    if not long.any():
        return flag
    some = runs.take(long)
    elapsed_us = samples.time_us[some.at] - some.spread(since_us[long])
    count = np.arange(len(some.at)) - some.spread(some.heads - history.before[long]) + 1
    meter = some.spread(some.meters)
    found = (elapsed_us >= for_us[meter]) & (count >= some.spread(needed[long]))
    found &= _untrue(block, samples, some)
    flag[some.at[found]] = Flag.SUSPECT
    flag[some.at[found & (elapsed_us >= fail_us[meter])]] = Flag.FAIL
    return flag


def _untrue(block: Block, samples: Samples, runs: Runs) -> Mask:
    """Tell where the register's mean since the run began is not what the snapshots show."""
    begin_us, begin_m3 = _register_at_start(block, samples, runs)
    now_us, now_m3 = _register_at(block, samples.row_of(runs.at))
    hours = (now_us - runs.spread(begin_us)) / US_PER_H
    shown = samples.value[runs.at]
    off_m3 = np.abs(now_m3 - runs.spread(begin_m3) - shown * hours)
    meter = runs.spread(runs.meters)
    agreement = each(block.limit(lambda p: p.stuck_agreement), meter)
    digit = 10.0 ** -runs.spread(shown_decimals(samples.value[runs.lasts]).astype(np.float64))
    within_m3 = np.maximum(agreement * shown, digit) * hours
    return ~(off_m3 <= within_m3 + 2 * block.meters.register_step_m3[meter])


def _register_at_start(block: Block, samples: Samples, runs: Runs) -> tuple[NDArray[np.int64], Floats]:
    """Give the working register as it was when each run began, with its time; shape (r,)."""
    heads, meter = runs.at[runs.heads], runs.meters
    begun = heads == runs.seg.starts[runs.seg.segment_of(heads)]
    time_us, value = _register_at(block, samples.row_of(np.where(begun, heads, heads - 1)))
    old_us, old_m3 = block.state["stuck_register_us"][meter], block.state["stuck_register"][meter]
    return np.where(begun, old_us, time_us), np.where(begun, old_m3, value)


def _register_at(block: Block, rows: Positions) -> tuple[NDArray[np.int64], Floats]:
    """Give the last working register up to some readings of the block, with its time."""
    registers = block.once(Registers.of).volume.samples
    if isinstance(registers.rows, slice):
        return registers.time_us[rows], registers.value[rows]
    known = registers.rows
    at = np.searchsorted(known, rows, side="right") - 1
    segment = block.seg.segment_of(rows)
    meter = block.seg.meters[segment]
    here = (at >= 0) & (known[at] >= block.seg.starts[segment]) if len(known) else at >= 0
    time_us, value = block.state["volume_tail_us"][meter], block.state["volume_tail"][meter]
    time_us[here], value[here] = registers.time_us[at[here]], registers.value[at[here]]
    return time_us, value


def _register_carried(block: Block, samples: Samples, runs: Runs) -> dict[str, NDArray[Any]]:
    """Carry the register as it was when the run began that each meter's last snapshot is in."""
    time_us, value = block.state["stuck_register_us"].copy(), block.state["stuck_register"].copy()
    seg = samples.seg
    last = seg.stops - 1
    time_us[seg.meters], value[seg.meters] = _register_at(block, samples.row_of(last))
    open_ = runs.take(runs.lasts == last[seg.segment_of(runs.lasts)])
    time_us[open_.meters], value[open_.meters] = _register_at_start(block, samples, open_)
    return {"stuck_register_us": time_us, "stuck_register": value}


CHECK = Check(
    codes=(_CODE,),
    run=check_stuck,
    carries=(
        # Since when the last snapshot stands, and what the register was then.
        ("stuck_since_us", "i8"),
        ("stuck_register_us", "i8"),
        ("stuck_register", "f8"),
        # How many snapshots above 0 had a successor, how many of these were the same, and how many of those
        # in the run that the last snapshot is in.
        ("stuck_shown", "i8"),
        ("stuck_repeated", "i8"),
        ("stuck_count", "i8"),
    ),
    tracks=tracked(_CODE),
)
