"""What a register did from sample to sample: fell, leapt, came back, rolled over, moved.

One sample alone never proves a reversal: a register that fell and is back at the next sample was
misread. So a sample that fell or leapt waits for the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H, US_PER_S, Block, Flags, Floats
from analytics.segments import Mask, Segments, Tailed
from fleet.flags import Flag
from fleet.meter_table import Limit, each

#: m³/h; stands in for Qmax where none is known, so that no rise is implausible.
_NO_LIMIT_M3H = 1e12
#: Shares of the register's top: a roll-over goes from above the one to below the other.
_ROLLS_FROM, _ROLLS_TO = 0.9, 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """What a register of each sample may do, as arrays of shape (n,)."""

    tolerance_m3: Floats
    #: m³ per microsecond that no flow through this meter can exceed.
    fastest: Floats
    #: m³ per microsecond above which a rise is believed only if the next sample does not take it back.
    doubtful: Floats
    top_m3: Floats
    exchange_gap_us: Limit

    @classmethod
    def of(cls, block: Block, row: NDArray[np.intp], times_qmax: Limit) -> Limits:
        """Look up the limits of the samples' meters."""
        qmax = block.meters.qmax_m3h
        fastest = np.where(np.isnan(qmax), _NO_LIMIT_M3H, times_qmax * qmax) / US_PER_H
        # A register at standard conditions runs faster by as much as its limit is higher.
        doubtful = fastest * block.limit(lambda p: p.overload_ratio / p.implausible_ratio)
        return cls(
            tolerance_m3=block.meters.register_step_m3[row],
            fastest=fastest[row],
            doubtful=doubtful[row],
            top_m3=block.meters.register_top_m3[row],
            exchange_gap_us=each(block.limit(lambda p: p.exchange_gap_s * US_PER_S), row),
        )

    def rolled(self, before: Floats, value: Floats, elapsed_us: NDArray[np.int64]) -> Mask:
        """Tell roll-overs: from near the top to near zero, by no more than could have flowed."""
        near = (before >= _ROLLS_FROM * self.top_m3) & (value <= _ROLLS_TO * self.top_m3)
        used = value + self.top_m3 - before
        return near & (used <= self.tolerance_m3 + self.fastest * elapsed_us)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One register's samples of a block, with the waiting sample of each meter put in front."""

    tailed: Tailed
    time_us: NDArray[np.int64]
    seq: NDArray[np.int64]
    value: Floats
    before: Floats
    #: Whether the findings below may speak of the sample.
    spoken: Mask
    #: Per reading of the block: has such a register, of which findings may speak.
    present: Mask
    #: Fell, or fell or rose too fast, so that it had, or has, to wait for the next sample.
    fell: Mask
    waited: Mask
    glitch: Flags
    reversed: Flags
    #: Rose faster than gas should, but not as fast as no gas can: to be believed only after the next
    #: sample. Of those, the ones that were misread; and every sample that fell or leapt.
    doubted: Mask
    misread: Mask
    disturbing: Mask
    #: Where the block's own samples stand in the block.
    rows: NDArray[np.intp]
    #: Per reading of the block: a sample that neither fell nor leapt; one that did; one that moved.
    steady: Mask
    suspicious: Mask
    moved: Mask
    #: The state's fields, per meter.
    state: dict[str, NDArray[Any]]


def analyse(block: Block, name: str, values: Floats, spoken: Mask, times_qmax: Limit) -> Series:
    """Follow one register.

    With p, v, n the previous, this and the next sample, and a tolerance of one register step:

    - *fell*: v < p - tolerance, neither a roll-over nor across a gap of `exchange_gap_s` or more
      (then the meter was most likely exchanged);
    - *leapt*: v above p by more than `times_qmax` times Qmax can deliver in the time between;
    - *peak*: v above p by more than `overload_ratio` times Qmax can deliver;
    - *spike*: a peak, and n is back between p and what could have flowed since p;
    - *reversed*: fell, not from a spike, and n is below p too;
    - *misread low*: fell, not from a spike, and n is not below p.

    Parameters
    ----------
    block
        The readings.
    name
        Prefix of the state's fields: volume or std_volume.
    values
        Shape (n,), m³; NaN where the frame has no such register.
    spoken
        Shape (n,): of which samples findings may speak.
    times_qmax
        A faster rise than this many Qmax is no gas.

    """
    old = {field: block.state[f"{name}_{field}"] for field, _ in FIELDS}
    rows = block.samples(~np.isnan(values), old["tail_us"])
    present = spoken & ~np.isnan(values)
    tailed = Tailed.of(block.seg.take(rows), ~np.isnan(old["tail"]))
    seg = tailed.seg
    value = tailed.join(values[rows], old["tail"])
    time_us = tailed.join(block.time_us[rows], old["tail_us"])
    limits = Limits.of(block, seg.row, times_qmax)
    spoken = tailed.join(spoken[rows], old["spoken"])
    before_us, before = seg.previous(time_us, old["before_us"]), seg.previous(value, old["before"])
    fell, leapt, peak = _moves(limits, time_us - before_us, before, value)
    spike = peak & _comes_back(seg, limits, time_us, value, before_us, before)
    after_spike = seg.previous(spike, old["after_spike"])
    fell_alone = fell & ~after_spike
    glitch, turned = _judge(seg, value, before, limits.tolerance_m3, fell_alone, peak, spike, spoken)
    doubted = peak & ~leapt
    misread = doubted & spike
    # The way back from a misread sample disturbs nothing but that sample.
    nothing = np.zeros(len(block.meters), dtype=np.bool_)
    returned = seg.previous(misread, nothing)
    suspicious = (fell & ~returned) | (leapt & ~seg.previous(leapt, nothing))
    readings = _on_readings(block, rows, value[~tailed.is_tail], suspicious[~tailed.is_tail], old["steady"])
    seq = tailed.join(block.readings.seq[rows], old["tail_seq"])
    state = {
        "tail_us": seg.closing(time_us, old["tail_us"]),
        "tail_seq": seg.closing(seq, old["tail_seq"]),
        "tail": seg.closing(value, old["tail"]),
        "before_us": seg.closing(before_us, old["before_us"]),
        "before": seg.closing(before, old["before"]),
        "after_spike": seg.closing(after_spike, old["after_spike"]),
        "spoken": seg.closing(spoken, old["spoken"]),
        "steady": readings[3],
    }
    return Series(
        tailed=tailed,
        time_us=time_us,
        seq=seq,
        value=value,
        before=before,
        spoken=spoken,
        present=present,
        fell=fell_alone & spoken,
        waited=(fell_alone | peak) & spoken,
        glitch=glitch,
        reversed=turned,
        doubted=doubted,
        misread=misread,
        disturbing=suspicious,
        rows=rows,
        steady=readings[0],
        suspicious=readings[1],
        moved=readings[2],
        state={f"{name}_{field}": new for field, new in state.items()},
    )


#: What is carried of each register, under its name.
FIELDS = (
    # The last sample, which may still wait for the next one to be judged, and the one before it.
    ("tail_us", "i8"),
    ("tail_seq", "i8"),
    ("tail", "f8"),
    ("before_us", "i8"),
    ("before", "f8"),
    # Whether the sample before the last was a spike, and whether the last one is spoken of.
    ("after_spike", "?"),
    ("spoken", "?"),
    # The last sample that neither fell nor leapt.
    ("steady", "f8"),
)


def _moves(
    limits: Limits, elapsed_us: NDArray[np.int64], before: Floats, value: Floats
) -> tuple[Mask, Mask, Mask]:
    fell = value < before - limits.tolerance_m3
    if fell.any():
        fell &= ~limits.rolled(before, value, elapsed_us) & (elapsed_us < limits.exchange_gap_us)
    leapt = value > before + limits.tolerance_m3 + limits.fastest * elapsed_us
    peak = value > before + limits.tolerance_m3 + limits.doubtful * elapsed_us
    return fell, leapt, peak


def _comes_back(
    seg: Segments,
    limits: Limits,
    time_us: NDArray[np.int64],
    value: Floats,
    before_us: NDArray[np.int64],
    before: Floats,
) -> Mask:
    after = seg.following(value, np.nan)
    elapsed_us = seg.following(time_us, 0) - before_us
    tolerance = limits.tolerance_m3
    back = (after < value - tolerance) & (after >= before - tolerance)
    return back & (after <= before + tolerance + limits.fastest * elapsed_us)


def _judge(
    seg: Segments,
    value: Floats,
    before: Floats,
    tolerance: Floats,
    fell: Mask,
    peak: Mask,
    spike: Mask,
    spoken: Mask,
) -> tuple[Flags, Flags]:
    """Give each sample its flags as a glitch and as a reversal."""
    after = seg.following(value, np.nan)
    waits = np.isnan(after)
    glitch = np.full(len(value), Flag.GOOD, dtype=np.uint8)
    glitch[np.isnan(before) | ((fell | peak) & waits)] = Flag.UNKNOWN
    turned = glitch.copy()
    turned[peak & waits] = Flag.GOOD
    glitch[spike | (fell & (after >= before - tolerance))] = Flag.SUSPECT
    turned[fell & (after < before - tolerance)] = Flag.FAIL
    glitch[~spoken] = turned[~spoken] = Flag.MISSING
    return glitch, turned


def _on_readings(
    block: Block, rows: NDArray[np.intp], value: Floats, suspicious: Mask, carried: Floats
) -> tuple[Mask, Mask, Mask, Floats]:
    """Spread over the block's readings which samples are steady, suspicious, and moved."""
    steady_rows = rows[~suspicious]
    seg = block.seg.take(steady_rows)
    steady_value = value[~suspicious]
    before = seg.previous(steady_value, carried)
    masks = np.zeros((3, len(block)), dtype=np.bool_)
    masks[0, steady_rows] = True
    masks[1, rows[suspicious]] = True
    masks[2, steady_rows] = (steady_value != before) & ~np.isnan(before)
    return masks[0], masks[1], masks[2], seg.closing(steady_value, carried)
