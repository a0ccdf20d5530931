"""Does the register run as it should? Misreadings, reversals, and registers that stand still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_H, US_PER_S, Block, Flags, Floats, Verdict
from analytics.frames import revisions
from analytics.register_series import Series, analyse
from analytics.segments import Mask, Segments, lowest_so_far
from analytics.tracking import Decisions, Tracker
from fleet.checks import BY_CODE
from fleet.flags import Flag, worst
from fleet.readings import ABSENT


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """Both registers of a block, followed from sample to sample."""

    volume: Series
    std_volume: Series

    @classmethod
    def of(cls, block: Block) -> Registers:
        """Follow both; findings speak of the standard register only where the working one is absent."""
        policy = block.policy
        everywhere = np.ones(len(block), dtype=np.bool_)
        alone = np.isnan(block.volume_m3)
        return cls(
            analyse(block, "volume", block.volume_m3, everywhere, policy.implausible_ratio),
            analyse(block, "std_volume", block.std_volume_m3, alone, policy.implausible_std_ratio),
        )

    @property
    def disturbed(self) -> Mask:
        """Tell at which readings either register moved, fell or leapt: it did not stand still."""
        restless: Mask = self.moved | self.volume.suspicious | self.std_volume.suspicious
        return restless

    @property
    def moved(self) -> Mask:
        """Tell at which readings either register had moved."""
        moved: Mask = self.volume.moved | self.std_volume.moved
        return moved


def check_series(block: Block, registers: Registers) -> Verdict:
    """Flag misread registers (`sensor_glitch` SUSPECT) and reversals (`register_reversed` FAIL).

    The rule is in `register_series.analyse`. A sample that fell or leapt is UNKNOWN until the next
    one decides (a revision); the onset of a reversal is the first low reading. Value of a
    reversal: how far the register fell, m³; of a misread register: none, for the catalogue's unit
    is that of temperatures.
    """
    verdict = Verdict(state={**registers.volume.state, **registers.std_volume.state})
    glitch: list[Flags] = []
    turned: list[Flags] = []
    for name, series in (("volume", registers.volume), ("std_volume", registers.std_volume)):
        nothing, fall = np.full(len(series.value), np.nan), series.before - series.value
        misread = _Finding("sensor_glitch", f"glitch_{name}", series.glitch, nothing, series.waited)
        reversal = _Finding("register_reversed", f"reversed_{name}", series.reversed, fall, series.fell)
        glitch.append(_speak(block, verdict, series, misread))
        turned.append(_speak(block, verdict, series, reversal))
    verdict.flags = {"sensor_glitch": worst(*glitch), "register_reversed": worst(*turned)}
    for flags in verdict.flags.values():
        flags[block.dropout] = Flag.UNKNOWN
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    """One check's word on one series."""

    code: str
    #: Field of the state.
    name: str
    flag: Flags
    value: Floats
    waited: Mask


def _speak(block: Block, verdict: Verdict, series: Series, finding: _Finding) -> Flags:
    """Add a finding to the verdict; give the flags of the block's readings."""
    new = ~series.tailed.is_tail
    entries = Decisions(
        seg=series.tailed.seg, time_us=series.time_us, flag=finding.flag, value=finding.value
    ).take(new | finding.waited)
    limit: Floats | float = np.nan if finding.code == "sensor_glitch" else block.meters.register_step_m3
    block.track(verdict, entries, Tracker(code=finding.code), limit, finding.name)
    number = BY_CODE[finding.code].number
    verdict.revised.append(
        revisions(block, series.tailed, finding.waited, series.time_us, series.seq, finding.flag, number)
    )
    out = np.where(series.present, np.uint8(Flag.UNKNOWN), np.uint8(Flag.MISSING))
    out[series.steady | series.suspicious] = finding.flag[new]
    return out


def check_stalled(block: Block, disturbed: Mask) -> Verdict:
    """Flag a register SUSPECT that stands still while gas flows.

    Looked at are readings with a snapshot and a register. A run begins at a snapshot above 0 and
    goes on while snapshots are above 0, no register moves, falls or leaps, and no gap is longer
    than the meter's silence limit. It is a finding once it is `stalled_for_s` old and the smallest
    snapshot since its start would have moved the register by `stalled_steps` steps; onset: the
    run's start; value: what that snapshot would have added, m³. A snapshot of 0 while the register
    moves is normal on an on/off burner and is nothing.
    """
    state, flow = block.state, block.readings.flow_m3h
    present = ~(np.isnan(flow) | (np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3)))
    rows = np.flatnonzero((present & ~block.dropout) | disturbed)
    seg, time_us = block.seg.take(rows), block.time_us[rows]
    run = _FlowRuns.of(block, seg, time_us, np.where(present[rows], flow[rows], 0.0), disturbed[rows])
    demanded_m3 = run.lowest * (time_us - run.since_us) / US_PER_H
    limit = block.policy.stalled_steps * block.meters.register_step_m3
    stalled = run.goes_on & (time_us - run.since_us >= block.policy.stalled_for_s * US_PER_S)
    stalled &= demanded_m3 >= limit[seg.row]

    flags = block.flags(present)
    flags[rows[stalled]] = Flag.SUSPECT
    verdict = Verdict(flags={"register_stalled": flags})
    entries = Decisions(
        seg=seg, time_us=time_us, flag=_good_or(stalled), value=demanded_m3, onset_us=run.since_us
    )
    block.track(verdict, entries, Tracker(code="register_stalled"), limit)
    verdict.state |= {
        "stalled_last_us": seg.closing(time_us, state["stalled_last_us"]),
        "flowing": seg.closing(run.flowing, state["flowing"]),
        "stalled_since_us": seg.closing(run.since_us, state["stalled_since_us"]),
        "stalled_flow": seg.closing(run.lowest, state["stalled_flow"]),
    }
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class _FlowRuns:
    """Runs of snapshots above 0 without movement of a register, as arrays of shape (n,)."""

    flowing: Mask
    #: In a run, and not its first sample.
    goes_on: Mask
    since_us: NDArray[np.int64]
    #: The smallest snapshot since the run's start, m³/h; 0 outside of runs.
    lowest: Floats

    @classmethod
    def of(
        cls, block: Block, seg: Segments, time_us: NDArray[np.int64], flow: Floats, disturbed: Mask
    ) -> _FlowRuns:
        state = block.state
        flowing = flow > 0
        elapsed_us = time_us - seg.previous(time_us, state["stalled_last_us"])
        goes_on = flowing & seg.previous(flowing, state["flowing"]) & ~disturbed
        goes_on &= elapsed_us <= block.silent_limit_us[seg.row]
        since_us = seg.latest(time_us, ~goes_on, state["stalled_since_us"])
        return cls(flowing, goes_on, since_us, _lowest(seg, flow, goes_on, state["stalled_flow"]))


def _lowest(seg: Segments, flow: Floats, goes_on: Mask, carried: Floats) -> Floats:
    """Run the minimum of each run; a run of one sample is its own, and most are of one."""
    out = flow.copy()
    old = seg.first & goes_on
    out[old] = np.minimum(flow[old], carried[seg.row[old]])
    long = goes_on | seg.following(goes_on, fill=False)
    if goes_on.any():
        out[long] = lowest_so_far(out[long], (~goes_on | seg.first)[long])
    return out


def check_idle(block: Block, moved: Mask) -> Verdict:
    """Flag a meter SUSPECT that shows no sign of use for `idle_after_s`.

    Signs of use are a register that moved and a snapshot above 0. Idle and stuck look the same
    from here: the valve, purchases or a visit decide. Onset: the last sign of use, or the first
    reading with a register where there was none; value: days since.
    """
    state = block.state
    present = ~(np.isnan(block.volume_m3) & np.isnan(block.std_volume_m3))
    used = moved | (~block.dropout & (block.readings.flow_m3h > 0))
    active_us = block.seg.latest(block.time_us, used, state["active_us"])
    began = present & (active_us == ABSENT)
    if began.any():
        used |= _first_of(block.seg, began)
        active_us = block.seg.latest(block.time_us, used, state["active_us"])
    for_us = block.time_us - active_us
    idle = present & (for_us >= block.policy.idle_after_s * US_PER_S) & (active_us != ABSENT)

    flags = block.flags(present)
    flags[idle] = Flag.SUSPECT
    verdict = Verdict(flags={"idle_or_stuck": flags})
    entries = block.decisions(flags, for_us / US_PER_DAY, active_us)
    limit_d = block.policy.idle_after_s * US_PER_S / US_PER_DAY
    block.track(verdict, entries, Tracker(code="idle_or_stuck"), limit_d)
    verdict.state["active_us"] = block.seg.closing(active_us, state["active_us"])
    return verdict


def _first_of(seg: Segments, which: Mask) -> Mask:
    """Mark the first sample of each segment for which `which` holds."""
    rows = np.flatnonzero(which)
    out = np.zeros(len(seg), dtype=np.bool_)
    out[rows] = seg.take(rows).first
    return out


def _good_or(bad: Mask) -> Flags:
    return np.where(bad, np.uint8(Flag.SUSPECT), np.uint8(Flag.GOOD))
