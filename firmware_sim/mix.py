"""What a fleet is made of: how its meters report, which faults it has, and what disturbs the clean ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from firmware_sim.fault_plan import Given
from firmware_sim.fault_specs import EXPECTED
from firmware_sim.faults import Level, Stage
from fleet.checks import BY_CODE

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Shares and kinds; none of it is measured, all of it has been seen."""

    #: Reporting interval, s -> share of the meters.
    intervals: Mapping[int, float]
    #: Levels of the faults, in turn.
    levels: tuple[Level, ...] = (Level.NOMINAL,)
    #: Faults that only days on roll-ups show, and those that only live arrival shows.
    slow: bool = False
    by_arrival: bool = False
    #: Idle seasons, late batches, lost readings, outages and a season's drift.
    disturbed: bool = False

    def turns(self, stage: Stage) -> list[Given]:
        """List what meters get in turn: every kind at the first level, then at the next."""
        days = stage.span.total_seconds() / _DAY_S
        kinds = [
            fault
            for fault, spec in EXPECTED.items()
            if days >= spec.shortest_days
            and (self.slow or not spec.slow)
            and (self.by_arrival or not spec.by_arrival)
            and (spec.check is None or spec.check in BY_CODE)
        ]
        return [(fault, level) for level in self.levels for fault in kinds]

    def interval_s(self, rng: np.random.Generator) -> int:
        """Draw a meter's interval."""
        return int(rng.choice(list(self.intervals), p=list(self.intervals.values())))


#: A demo's fleet: every meter reports at least hourly, and all faults are at their nominal strength.
EVERYDAY = Mix(intervals=MappingProxyType({600: 0.2, 900: 0.2, 1800: 0.3, 3600: 0.3}))
#: A fleet to be judged by: everything that makes a check's life hard.
DEMANDING = Mix(
    intervals=MappingProxyType(
        {120: 0.03, 600: 0.1, 900: 0.15, 1800: 0.25, 3600: 0.35, 14400: 0.06, 86400: 0.06}
    ),
    levels=(Level.NOMINAL, Level.WEAK, Level.NOMINAL, Level.STRONG, Level.NOMINAL),
    slow=True,
    by_arrival=True,
    disturbed=True,
)


@dataclass(slots=True, kw_only=True)
class Disturbances:
    """What a meter without any fault may have; nothing by default."""

    idle_start_us: int = 0
    idle_end_us: int = 0
    #: Share of the idle days on which somebody burns a little all the same.
    idle_use: float = 0.0
    #: Share of the days on which readings are kept back for hours, on which none are taken, and of
    #: single readings that are lost.
    late_share: float = 0.0
    outage_share: float = 0.0
    loss_share: float = 0.0
    #: A pilot flame burns this share of Qmax day and night, since it was lit: always, or in the season.
    pilot_qmax: float = 0.0
    pilot_lit_us: int = 0
    #: When the battery is replaced by a fresh one; 0 for never.
    battery_renewed_us: int = 0
    #: The clock is never quite right.
    clock_ahead_s: int = 0


def disturb(
    profile: str, *, roots: bool, faulty: bool, stage: Stage, rng: np.random.Generator
) -> Disturbances:
    """Draw what disturbs a meter; one with a fault loses nothing, so that the fault can be seen."""
    drawn = Disturbances()
    kind = rng.uniform(size=3)
    if kind[0] < _LATE:
        drawn.late_share = float(rng.uniform(0.05, 0.2))
    if faulty:
        return drawn
    if kind[1] < _LOSSY:
        drawn.loss_share, drawn.outage_share = float(rng.uniform(0.01, 0.04)), 0.03
    drawn.clock_ahead_s = int(rng.integers(*_CLOCK_S))
    if rng.uniform() < _PILOTS and not roots:
        drawn.pilot_qmax = _PILOT_QMAX
    if rng.uniform() < _RENEWED:
        middle_us = round((stage.start + stage.span * rng.uniform(0.2, 0.8)).timestamp() * 1e6)
        drawn.battery_renewed_us = middle_us
    seasonal = profile in _SEASONAL
    if seasonal and kind[2] < _IDLE:
        _rest(drawn, stage, rng)
    if not roots and not drawn.pilot_qmax and rng.uniform() < _LIT:
        lit = stage.start + stage.span * rng.uniform(0.35, 0.7)
        drawn.pilot_lit_us = round(lit.timestamp() * 1e6)
        drawn.pilot_qmax = float(rng.uniform(*_LIT_QMAX))
    return drawn


_LATE, _LOSSY, _IDLE = 0.15, 0.3, 0.3
_PILOTS, _RENEWED = 0.15, 0.1
#: Well above the Qmin of a diaphragm meter, and well below what counts as a small flow.
_PILOT_QMAX = 0.012
#: So many feed one that is lit within the history: what begins looks like a leak.
_LIT, _LIT_QMAX = 0.2, (0.008, 0.012)
_CLOCK_S = (-40, 40)
#: A school in holidays, a heating boiler in summer.
_SEASONAL = ("school", "boiler")
_US_PER_DAY = 86_400_000_000


def _rest(drawn: Disturbances, stage: Stage, rng: np.random.Generator) -> None:
    """Rest for two to seven weeks, from some day of the history."""
    start_us = round(stage.start.timestamp() * 1e6)
    days = stage.span.total_seconds() / _DAY_S
    drawn.idle_start_us = start_us + int(rng.uniform(0.2, 0.6) * days * _US_PER_DAY)
    drawn.idle_end_us = drawn.idle_start_us + int(rng.uniform(14, 49) * _US_PER_DAY)
    drawn.idle_use = float(rng.choice([0.0, 0.1, 0.2]))
