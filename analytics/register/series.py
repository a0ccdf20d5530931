"""What a register did from sample to sample: fell, leapt, came back, rolled over, moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.block import Block, Flags, Floats
from analytics.register.events import Events, find_events
from analytics.register.limits import Speeds
from analytics.samples import Samples, creep_m3h
from analytics.segments import Mask, Positions, Segments, Tailed
from fleet.flags import Flag
from fleet.meter_table import Limit

#: What is carried of each register, under its name.
FIELDS = (
    # The last sample, which may still wait for the next one to be judged, and the one before it.
    ("tail_us", "i8"),
    ("tail_seq", "i8"),
    ("tail", "f8"),
    ("before_us", "i8"),
    ("before", "f8"),
    # Since when the register stood at that one.
    ("stood_us", "i8"),
    # Since when gas may have flowed during that, and whether the last sample's snapshot may show some.
    ("gas_us", "i8"),
    ("tail_gas", "?"),
    # Whether the sample before the last was a spike, or misread low, and whether the last is spoken of.
    ("after_spike", "?"),
    ("after_low", "?"),
    ("spoken", "?"),
    # The last sample that neither fell nor leapt.
    ("steady", "f8"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One register's samples of a block, with the waiting sample of each meter put in front."""

    samples: Samples
    tailed: Tailed
    time_us: NDArray[np.int64]
    value: Floats
    #: The change since the sample before, m³; NaN at the first of all.
    rise: Floats
    events: Events
    #: Shape (n,): UNKNOWN where there is no sample before, MISSING where findings may not speak, else GOOD.
    plain: Flags
    #: Per reading of the block: MISSING where it has no such register, or one that is not spoken of.
    base: Flags
    #: Per reading of the block: a sample that neither fell nor leapt; one that did; one that moved.
    steady: Mask
    suspicious: Mask
    moved: Mask
    #: The state's fields, per meter.
    state: dict[str, NDArray[Any]]

    def flags(self, flag: Flags) -> Flags:
        """Spread the events' flags over all samples, shape (n,)."""
        out, at = self.plain.copy(), self.events.at
        out[at] = np.where(out[at] == Flag.MISSING, out[at], flag)
        return out


def analyse(block: Block, name: str, values: Floats, spoken: Mask | None, times_qmax: Limit) -> Series:
    """Follow one register.

    With p, v, n the previous, this and the next sample, and a tolerance of one register step:

    - *fell*: v < p - tolerance, and it is no roll-over;
    - *leapt*: v above p by more than `times_qmax` times Qmax can deliver in the time between, and by more
      than `overload_ratio` times Qmax can since snapshots do not show rest after the register moved last,
      or in a day if that is longer;
    - *peak*: v above p by more than `overload_ratio` times Qmax can deliver;
    - *spike*: a peak, and n is back between p and what could have flowed since p;
    - *misread low*: fell, not from a spike, and n is not below p;
    - *reversed*: fell, not from a spike, and n is below p too; but not where v is what comes after p
      at Qmax or less across the register's top (`Limits.rolled_far`), and n goes on from there;
    - *jumped*: leapt, no spike, and not back from a misread low;
    - *exchanged*: reversed or jumped, and `Limits.exchanged` names another meter as the reason; then
      it is neither of the two.

    Parameters
    ----------
    block
        The readings.
    name
        Prefix of the state's fields: volume or std_volume.
    values
        Shape (n,), m³; NaN where the frame has no such register.
    spoken
        Shape (n,): of which samples findings may speak; None: of all.
    times_qmax
        A faster rise than this many Qmax is no gas.

    """
    old = {field: block.state[f"{name}_{field}"] for field, _ in FIELDS}
    samples = Samples.of(block, values).later(old["tail_us"])
    tailed = Tailed.of(samples.seg, ~np.isnan(old["tail"]))
    seg = tailed.seg
    value = tailed.join(samples.value, old["tail"])
    time_us = tailed.join(samples.time_us, old["tail_us"])
    rise = seg.rises(value, old["before"])
    showing = ~(block.readings.flow_m3h[samples.rows] <= samples.seg.spread(creep_m3h(block)))
    gas = tailed.join(showing, old["tail_gas"])
    events = find_events(block, seg, time_us, value, rise, gas, Speeds.of(block.meters, times_qmax), old)
    # Another meter's register is as steady as that of the one before.
    suspicious = tailed.own_of(events.at[events.disturbing & ~events.exchange])
    moved, steady = _movement(samples, suspicious, old["steady"])
    mask = np.zeros(len(block), dtype=np.bool_)
    mask[samples.row_of(suspicious)] = True
    state = {
        "tail_us": samples.closing(samples.time_us, old["tail_us"]),
        "tail_seq": samples.closing_of(block.readings.seq, old["tail_seq"]),
        "tail": samples.closing(samples.value, old["tail"]),
        "before_us": seg.before_last(time_us, old["before_us"]),
        "before": seg.before_last(value, old["before"]),
        "stood_us": _of_last(seg, events.stand.since_us, old["stood_us"]),
        "gas_us": _of_last(seg, events.stand.gas_since_us, old["gas_us"]),
        "tail_gas": samples.closing(showing, old["tail_gas"]),
        "after_spike": _after(seg, events.at[events.spike], old["after_spike"]),
        "after_low": _after(seg, events.at[events.low], old["after_low"]),
        "spoken": _spoken(samples, spoken, old["spoken"]),
        "steady": steady,
    }
    return Series(
        samples=samples,
        tailed=tailed,
        time_us=time_us,
        value=value,
        rise=rise,
        events=events,
        plain=_plain(samples, tailed, events.firsts, spoken, old["spoken"]),
        base=_base(samples, spoken, block),
        steady=samples.usable & ~mask,
        suspicious=mask,
        moved=moved,
        state={f"{name}_{field}": new for field, new in state.items()},
    )


def _movement(samples: Samples, suspicious: Positions, carried: Floats) -> tuple[Mask, Floats]:
    """Tell which readings moved against the steady sample before; give each meter's last steady one."""
    seg, value = samples.seg, samples.value
    moved = np.empty(len(seg), dtype=np.bool_)
    np.not_equal(value[1:], value[:-1], out=moved[1:])
    moved[seg.starts] = _differs(value[seg.starts], carried[seg.meters])
    steady = samples.closing(value, carried)
    if len(suspicious):
        # What comes after a stretch of suspicious samples is held against the one before the stretch.
        heads = np.append(True, np.diff(suspicious) != 1) | np.isin(suspicious, seg.starts)
        begins = suspicious[np.maximum.accumulate(np.where(heads, np.arange(len(heads)), 0))]
        before = seg.previous_of(value, begins, carried)
        after = seg.next_of(np.arange(len(seg)), suspicious, -1)
        moved[after[after >= 0]] = _differs(value[after[after >= 0]], before[after >= 0])
        moved[suspicious] = False
        steady[seg.meter_of(suspicious[after < 0])] = before[after < 0]
    if isinstance(samples.rows, slice):
        return moved, steady
    out = np.zeros(len(samples.usable), dtype=np.bool_)
    out[samples.rows] = moved
    return out, steady


def _of_last(
    seg: Segments, look: Callable[[Positions], NDArray[np.int64]], carried: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give each meter what `look` says of its last sample; with one sample, what was carried before."""
    out = carried.copy()
    several = seg.counts > 1
    out[seg.meters[several]] = look(seg.stops[several] - 1)
    return out


def _differs(value: Floats, before: Floats) -> Mask:
    differs: Mask = (value != before) & ~np.isnan(before)
    return differs


def _after(seg: Segments, at: Positions, carried: Mask) -> Mask:
    """Tell of each meter whether its last sample but one is among `at`; with one sample, what was carried."""
    out = carried.copy()
    several = seg.counts > 1
    out[seg.meters[several]] = seg.marks(at)[seg.stops[several] - 2]
    return out


def _spoken(samples: Samples, spoken: Mask | None, carried: Mask) -> Mask:
    if spoken is not None:
        return samples.closing_of(spoken, carried)
    out = carried.copy()
    out[samples.seg.meters] = True
    return out


def _plain(samples: Samples, tailed: Tailed, firsts: Positions, spoken: Mask | None, carried: Mask) -> Flags:
    """Make the flags of samples, and carried ones, that are no event."""
    out = np.full(len(tailed.seg), Flag.GOOD, dtype=np.uint8)
    out[firsts] = Flag.UNKNOWN
    if spoken is not None:
        own = out[tailed.own]
        own[~spoken[samples.rows]] = Flag.MISSING
        out[tailed.own] = own
    out[tailed.tails[~carried[tailed.meters]]] = Flag.MISSING
    return out


def _base(samples: Samples, spoken: Mask | None, block: Block) -> Flags:
    if spoken is None:
        return samples.base
    base = samples.base.copy()
    base[~spoken] = Flag.MISSING
    base[block.dropout] = Flag.UNKNOWN
    return base
