"""Registers that stand still while the balance is spent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_S, Block, Check, Floats, Tracked, Verdict
from analytics.kernels.borders import members
from analytics.register.lateness import TIMES_LATE, Stands
from analytics.register.reversal import Registers, registered
from analytics.samples import Samples
from analytics.segments import Positions, Segments, lowest_so_far
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag
from fleet.meter_table import each
from fleet.readings import ABSENT

_CODE = "register_stalled"
#: A fall that is so many times all others of its run is no gas.
_REFUND = 10


def check_uncounted(block: Block) -> Verdict:
    """Flag a register SUSPECT (`register_stalled`) that stands still while gas is paid for.

    Looked at are prepaid meters of which the price of a cubic metre is known, at readings with a
    balance and a register. A run goes on while no register moves, falls or leaps, the balance does
    not rise, and no gap is longer than the silence limit. Its first fall of the balance does not
    count: it may settle what was measured before. Nor does one that is more than ten times all others
    of the run together: that is a refund. It is a finding once what else was spent since that first
    fall would have moved the register by `stalled_steps` steps, and that fall is `stalled_for_s` old,
    and twice as old as the register was ever shown late (`register.lateness`).
    Onset: that fall; value: what was paid for since without a refund, m³. A standing charge looks the same.
    """
    counted = block.meters.prepaid & (block.meters.price_per_m3 > 0)
    if not counted.any():
        return Verdict(flags={_CODE: block.nothing_reported()})
    balance, disturbed = block.readings.balance, block.once(Registers.of).disturbed
    present = ~np.isnan(balance) & block.once(registered)
    looked = present | disturbed
    if not counted.all():
        mine = block.seg.spread(counted)
        present &= mine
        looked &= mine
    samples = Samples.of(block, balance, looked)
    spending = _Spending.of(block, samples)
    stalled, paid_m3, since_us = _stalled(block, samples, spending)
    flags = block.flags(present)
    flags[samples.row_of(stalled)] = Flag.SUSPECT
    verdict = Verdict(flags={_CODE: flags}, state=spending.state(block))
    block.track(
        verdict,
        _decisions(samples, stalled, paid_m3, since_us),
        Tracker(code=_CODE),
        _limit_m3(block),
        limit_name=("stalled_steps", "register_step_m3"),
        name="uncounted",
        applies=counted,
    )
    return verdict


def _limit_m3(block: Block) -> Floats:
    limit: Floats = block.limit(lambda p: p.stalled_steps) * block.meters.register_step_m3
    return limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spending:
    """Stretches of samples over which the register stood while the balance was spent; shape (r,).

    Each is what follows the first fall of the balance in a run, that one included, up to the run's end.
    """

    samples: Samples
    #: Shape (k,), the last known balance at each sample, and its rise since the one before; falls are
    #: negative.
    balance: Floats
    rise: Floats
    #: Where each stretch begins and ends, ascending: positions among the samples.
    begins: Positions
    stops: Positions
    #: The first fall, the balance after it, when that was, and the largest fall since in blocks before.
    first: Floats
    spent_from: Floats
    spent_from_us: NDArray[np.int64]
    largest_before: Floats

    @classmethod
    def of(cls, block: Block, samples: Samples) -> _Spending:
        state, seg, balance = block.state, samples.seg, samples.value
        known = ~np.isnan(balance)
        if not known.all():
            balance = seg.latest(balance, known, state["uncounted_balance"])
        rise = seg.rises(balance, state["uncounted_balance"])
        starts = rise > 0
        starts |= block.once(Registers.of).disturbed[samples.rows]
        starts[seg.late(samples.time_us, state["uncounted_us"], block.silent_limit_us)] = True
        falls = np.flatnonzero((rise < 0) & ~starts)
        begun = seg.starts[~np.isnan(state["spent_from"][seg.meters]) & ~starts[seg.starts]]
        begins, stops = _stretches(seg, np.flatnonzero(starts), falls, begun)
        # What went on before this block fell there for the first time.
        meter = seg.meter_of(begins)
        old, old_us = state["spent_from"][meter], state["spent_from_us"][meter]
        carried = np.isin(begins, begun)
        first = np.where(carried, state["spent_first"][meter], -rise[begins])
        rise[begins[~carried]] = 0.0
        return cls(
            samples=samples,
            balance=balance,
            rise=rise,
            begins=begins,
            stops=stops,
            first=first,
            spent_from=np.where(carried, old, balance[begins]),
            spent_from_us=np.where(carried, old_us, samples.time_us[begins]),
            largest_before=np.where(carried, state["spent_largest"][meter], 0.0),
        )

    def largest(self) -> Floats:
        """Give the largest fall of each stretch but its first, shape (r,)."""
        if len(self.begins) == 0:
            return self.largest_before
        # Every second piece is what lies between two stretches.
        edges = np.stack([self.begins, self.stops], axis=1).ravel()
        lowest = np.minimum.reduceat(np.append(self.rise, 0.0), edges)[::2]
        return np.maximum(self.largest_before, -lowest)

    def state(self, block: Block) -> dict[str, NDArray[np.generic]]:
        """Carry what goes on at each meter's last sample."""
        state, seg = block.state, self.samples.seg
        segment = seg.segment_of(self.begins)
        open_ = self.stops == seg.stops[segment]
        meter = seg.meters[segment[open_]]
        carried = {
            "uncounted_us": seg.closing(self.samples.time_us, state["uncounted_us"]),
            "uncounted_balance": seg.closing(self.balance, state["uncounted_balance"]),
        }
        for name, nothing, values in (
            ("spent_first", np.nan, self.first),
            ("spent_from", np.nan, self.spent_from),
            ("spent_from_us", ABSENT, self.spent_from_us),
            ("spent_largest", np.nan, self.largest()),
        ):
            carried[name] = state[name].copy()
            carried[name][seg.meters] = nothing
            carried[name][meter] = values[open_]
        return carried


def _stretches(
    seg: Segments, starts: Positions, falls: Positions, begun: Positions
) -> tuple[Positions, Positions]:
    """Give begin and end of what follows the first of `falls`, or of `begun`, in each run."""
    at = np.union1d(falls, begun)
    segment, rank = seg.segment_of(at), np.searchsorted(starts, at)
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = (rank[1:] != rank[:-1]) | (segment[1:] != segment[:-1])
    stops = np.append(starts, seg.n)[rank[first]]
    return at[first], np.minimum(stops, seg.stops[segment[first]])


def _stalled(
    block: Block, samples: Samples, spending: _Spending
) -> tuple[Positions, Floats, NDArray[np.int64]]:
    """Find the samples that are findings, with what was paid for, m³, and since when."""
    limit = _limit_m3(block) * block.meters.price_per_m3
    spent = spending.spent_from - spending.balance[spending.stops - 1]
    spent = _without_refund(spent, spending.largest(), spending.first)
    enough = np.flatnonzero(spent >= limit[samples.seg.meter_of(spending.begins)])
    begins, stops = spending.begins[enough], spending.stops[enough]
    at, counts = members(begins, stops), stops - begins
    if len(at) == 0:
        return at, np.empty(0), at
    meter, since_us = samples.seg.meter_of(at), spending.spent_from_us[enough].repeat(counts)
    heads = np.cumsum(counts) - counts
    rise, starts = spending.rise[at], np.zeros(len(at), dtype=np.bool_)
    rise[heads] = np.minimum(rise[heads], -spending.largest_before[enough])
    starts[heads] = True
    spent = spending.spent_from[enough].repeat(counts) - spending.balance[at]
    spent = _without_refund(spent, -lowest_so_far(rise, starts), spending.first[enough].repeat(counts))
    for_us = _for_us(block, samples, begins).repeat(counts)
    stalled = (spent >= limit[meter]) & (samples.time_us[at] - since_us >= for_us)
    return at[stalled], (spent / block.meters.price_per_m3[meter])[stalled], since_us[stalled]


def _for_us(block: Block, samples: Samples, begins: Positions) -> NDArray[np.int64]:
    """Tell how long a register has to stand, by where its stretches begin."""
    meters = samples.seg.meter_of(begins)
    late_us = block.once(Stands.of).lateness.up_to(block, samples.row_of(begins), meters)
    return np.maximum(each(block.limit(lambda p: p.stalled_for_s * US_PER_S), meters), TIMES_LATE * late_us)


def _without_refund(spent: Floats, largest: Floats, first: Floats) -> Floats:
    """Leave out the largest fall where it is out of all proportion; the rest never shrinks as falls come."""
    others = spent - largest
    return np.where(largest > _REFUND * (first + others), others, spent)


def _decisions(
    samples: Samples, stalled: Positions, paid_m3: Floats, since_us: NDArray[np.int64]
) -> Decisions:
    """Call all other samples GOOD: without a fall in its run there is nothing to tell of one."""
    flag = samples.good()
    if len(stalled) == 0:
        return samples.decisions(flag, np.broadcast_to(np.nan, len(flag)))
    flag[stalled] = Flag.SUSPECT
    value, onset_us = np.full(len(flag), np.nan), samples.time_us.copy()
    value[stalled], onset_us[stalled] = paid_m3, since_us
    return samples.decisions(flag, value, onset_us)


CHECK = Check(
    codes=(_CODE,),
    run=check_uncounted,
    carries=(
        # The last sample and the last known balance; of the first fall since the register stands what
        # it was, the balance after it and its time; and the largest fall after it.
        ("uncounted_us", "i8"),
        ("uncounted_balance", "f8"),
        ("spent_first", "f8"),
        ("spent_from", "f8"),
        ("spent_from_us", "i8"),
        ("spent_largest", "f8"),
    ),
    tracks=(Tracked("uncounted", "register_stalled"),),
)
