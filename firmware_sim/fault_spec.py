"""What is said of a kind of fault: what it must and may cause, what it needs, how strong it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from firmware_sim.faults import Level

Range = tuple[float, float]


class Lasts(StrEnum):
    """How long a fault stays."""

    #: One reading.
    SAMPLE = "sample"
    #: As many readings as it is strong.
    SAMPLES = "samples"
    #: `Spec.hours`.
    HOURS = "hours"
    #: As many days as it is strong.
    DAYS = "days"
    #: As many times `Spec.decidable_h`, or `Spec.decidable_intervals` where longer, as it is strong.
    TIMES = "times"
    #: From its beginning to the end of the history.
    ON = "on"
    #: The whole history: services are due by today's date and register, and what passes within a
    #: history could be seen on its way or not.
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One kind of fault."""

    #: The check that must find it; None where nothing may be found.
    check: str | None
    #: Other checks that must follow.
    side_effects: tuple[str, ...] = ()
    #: Checks that cannot be blamed for speaking up: the fault may trip them.
    may: tuple[str, ...] = ()
    #: One of `population.NEEDS`, where only such meters can have the fault.
    needs: str | None = None
    lasts: Lasts = Lasts.ON
    hours: float = 0.0
    #: Strength at WEAK, NOMINAL and STRONG: drawn evenly between two numbers.
    strength: tuple[Range, Range, Range] = field(default=((1.0, 1.0), (1.0, 1.0), (1.0, 1.0)))
    #: The check's rule needs this long, and this many reports, before it can tell.
    decidable_h: float = 0.0
    decidable_intervals: float = 0.0
    #: Nothing can be told before it is over: nothing is heard until then.
    told_at_end: bool = False
    #: Meters that report more seldom cannot show it.
    slowest_s: int = 3600
    #: The history has to hold so many days.
    shortest_days: float = 2.0
    #: Share of the history in which it begins.
    begins: Range = (0.15, 0.7)
    #: Found on roll-ups, after days.
    slow: bool = False
    #: Shows only where readings arrive as they are read, not where a history is played.
    by_arrival: bool = False
    #: Telemetry cannot decide it: neither finding nor missing it is an error.
    undecided: bool = False

    def at(self, level: Level) -> Range:
        """Give the range of the strength at a level."""
        return self.strength[level]


#: Every interval, and up to four hours.
ANY_S, FOUR_HOURLY_S = 86_400, 14_400
#: Checks of the meter's use, which many faults change; of what is missing; of what is paid.
USE = ("usage_shift", "night_flow", "balance_forecast", "meter_oversized", "meter_undersized")
MISSING = ("low_reception", "data_gap")
PAYING = ("balance_mismatch", "balance_forecast")
