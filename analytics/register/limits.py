"""What a register may do between two samples of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_H, US_PER_S, Block, Floats
from analytics.segments import Mask, Positions
from fleet.meter_table import Limit, MeterTable, each

#: m³/h; stands in for Qmax where none is known, so that no rise is implausible.
_NO_LIMIT_M3H = 1e12
#: Shares of the register's top: a roll-over goes from above the one to below the other.
_ROLLS_FROM, _ROLLS_TO = 0.9, 0.1
#: From elsewhere it rolls over by less than this share: so much of a small one may pass between readings.
_ROLLS_BY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speeds:
    """How fast registers may rise, m³ per microsecond, shape (m,)."""

    #: No flow through this meter can exceed it.
    fastest: Floats
    #: Above it a rise is believed only if the next sample does not take it back.
    doubtful: Floats
    #: At Qmax; NaN where it is not known.
    at_qmax: Floats

    @classmethod
    def of(cls, meters: MeterTable, times_qmax: Limit) -> Speeds:
        """Look up the meters' limits; a faster rise than `times_qmax` Qmax is no gas."""
        qmax = meters.qmax_m3h
        fastest = np.where(np.isnan(qmax), _NO_LIMIT_M3H, times_qmax * qmax) / US_PER_H
        # A register at standard conditions runs faster by as much as its limit is higher.
        at_qmax = fastest / meters.limit(lambda p: p.implausible_ratio)
        doubtful = at_qmax * meters.limit(lambda p: p.overload_ratio)
        return cls(fastest=fastest, doubtful=doubtful, at_qmax=np.where(np.isnan(qmax), np.nan, at_qmax))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rolling:
    """How registers roll over, as arrays of shape (n,)."""

    tolerance_m3: Floats
    #: m³ per microsecond that no flow can exceed.
    fastest: Floats
    #: The same at Qmax, NaN where it is not known.
    at_qmax: Floats
    #: The register rolls over at this value.
    top_m3: Floats

    @classmethod
    def of_meters(cls, meters: MeterTable, row: Positions, *, standard: Mask | bool) -> Rolling:
        """Look up the limits of registers, those at standard conditions where `standard` says so."""
        working = Speeds.of(meters, meters.limit(lambda p: p.implausible_ratio))
        faster = Speeds.of(meters, meters.limit(lambda p: p.implausible_std_ratio))
        return Rolling(
            tolerance_m3=meters.register_step_m3[row],
            fastest=np.where(standard, faster.fastest[row], working.fastest[row]),
            at_qmax=np.where(standard, faster.at_qmax[row], working.at_qmax[row]),
            top_m3=meters.register_top_m3[row],
        )

    def rolled(self, before: Floats, value: Floats, elapsed_us: NDArray[np.int64]) -> Mask:
        """Tell roll-overs, from near the top or from afar."""
        return self.rolled_near(before, value, elapsed_us) | self.rolled_far(before, value, elapsed_us)

    def rolled_near(self, before: Floats, value: Floats, elapsed_us: NDArray[np.int64]) -> Mask:
        """Tell roll-overs from near the top to near zero, by no more than could have flowed."""
        near = (before >= _ROLLS_FROM * self.top_m3) & (value <= _ROLLS_TO * self.top_m3)
        used = value + self.top_m3 - before
        return near & (used <= self.tolerance_m3 + self.fastest * elapsed_us)

    def rolled_far(self, before: Floats, value: Floats, elapsed_us: NDArray[np.int64]) -> Mask:
        """Tell falls by which a small register, read seldom, would only have gone on at Qmax or less."""
        used = value + self.top_m3 - before
        far: Mask = used <= self.tolerance_m3 + self.at_qmax * elapsed_us
        return far & (value < before) & (used < _ROLLS_BY * self.top_m3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits(Rolling):
    """What the register of each sample may do, as arrays of shape (n,)."""

    doubtful: Floats
    exchange_gap_us: Limit
    #: When the local day began on which the meter was installed.
    installed_us: NDArray[np.int64]

    @classmethod
    def of(cls, block: Block, row: Positions, speeds: Speeds) -> Limits:
        """Look up the limits of the samples' meters."""
        meters = block.meters
        return cls(
            tolerance_m3=meters.register_step_m3[row],
            fastest=speeds.fastest[row],
            at_qmax=speeds.at_qmax[row],
            doubtful=speeds.doubtful[row],
            top_m3=meters.register_top_m3[row],
            exchange_gap_us=each(block.limit(lambda p: p.exchange_gap_s * US_PER_S), row),
            installed_us=meters.installed_us[row],
        )

    def exchanged(self, before_us: NDArray[np.int64], time_us: NDArray[np.int64]) -> Mask:
        """Tell where another meter is the likely reason for a register that is not what it was.

        Nothing came for `exchange_gap_s` or more, or the meter was installed on a day that lies
        between the samples, or is the day of one of them.
        """
        gap = time_us - before_us >= self.exchange_gap_us
        mounted = (time_us >= self.installed_us) & (before_us < self.installed_us + US_PER_DAY)
        return gap | mounted
