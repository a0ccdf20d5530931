"""What each fault must cause, may cause, needs, and how strong it is at each level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from firmware_sim.faults import Fault, Level

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


_ANY = 86_400
_FOUR_HOURLY = 14_400
#: Speak of the meter's use, which many faults change.
_USE = ("usage_shift", "night_flow", "balance_forecast", "meter_oversized", "meter_undersized")
_MISSING = ("low_reception", "data_gap")
_PAYING = ("balance_mismatch", "balance_forecast")

_PER_READING: dict[Fault, Spec] = {
    Fault.OVER_RANGE_BURST: Spec(
        check="flow_over_range",
        may=("flow_spike", "flow_rate_of_change", "meter_undersized"),
        lasts=Lasts.SAMPLE,
        strength=((1.01, 1.05), (1.05, 1.35), (1.4, 1.9)),
        slowest_s=_FOUR_HOURLY,
    ),
    Fault.OVER_RANGE_LONG: Spec(
        check="flow_over_range_sustained",
        side_effects=("flow_over_range",),
        may=("flow_spike", "flow_rate_of_change", *_USE),
        lasts=Lasts.HOURS,
        hours=4.0,
        strength=((1.02, 1.08), (1.1, 1.4), (1.5, 1.9)),
        decidable_h=2.0,
    ),
    Fault.UNDER_RANGE: Spec(
        check="flow_under_range",
        may=_USE,
        lasts=Lasts.HOURS,
        hours=8.0,
        strength=((0.85, 0.95), (0.3, 0.7), (0.1, 0.2)),
        decidable_h=2.0,
    ),
    Fault.BATTERY_LOW: Spec(
        check="battery_low",
        side_effects=("status_reported",),
        may=("battery_forecast",),
        strength=((1.2, 1.3), (0.0, 1.0), (-0.1, 0.0)),
        decidable_h=6.0,
        slowest_s=_ANY,
    ),
    Fault.BATTERY_OVERDUE: Spec(check="battery_overdue", lasts=Lasts.ALWAYS, slowest_s=_ANY),
    Fault.OIL_OVERDUE_DAYS: Spec(check="oil_overdue", needs="roots", lasts=Lasts.ALWAYS, slowest_s=_ANY),
    Fault.OIL_OVERDUE_VOLUME: Spec(check="oil_overdue", needs="roots", lasts=Lasts.ALWAYS, slowest_s=_ANY),
    Fault.OIL_DUE_SOON: Spec(check="oil_due_soon", needs="roots", lasts=Lasts.ALWAYS, slowest_s=_ANY),
    Fault.BALANCE_LOW: Spec(check="balance_low", may=_PAYING, needs="prepaid"),
    Fault.BALANCE_EXHAUSTED: Spec(
        check="balance_exhausted",
        side_effects=("balance_low",),
        may=(*_PAYING, *_USE),
        needs="prepaid",
        lasts=Lasts.HOURS,
        hours=9.0,
    ),
    Fault.SILENCE: Spec(
        check="meter_silent",
        may=(*_MISSING, *_USE),
        decidable_h=0.25,
        decidable_intervals=3.0,
        slowest_s=_ANY,
    ),
    Fault.DROPOUT_FRAME: Spec(
        check="dropout_frame",
        needs="roots",
        lasts=Lasts.SAMPLES,
        strength=((1.0, 1.0), (1.0, 3.0), (4.0, 6.0)),
        slowest_s=_FOUR_HOURLY,
    ),
    Fault.DUPLICATE: Spec(check=None, lasts=Lasts.SAMPLES, strength=((4.0, 9.0),) * 3),
    Fault.LATE_BATCH: Spec(check=None, lasts=Lasts.SAMPLES, strength=((3.0, 3.0),) * 3),
    Fault.REGISTER_STALLED: Spec(
        check="register_stalled",
        may=("balance_frozen", "correction_mismatch", *_USE),
        lasts=Lasts.HOURS,
        hours=5.0,
        strength=((0.1, 0.2), (0.3, 0.5), (0.6, 0.75)),
        decidable_h=1.0,
        decidable_intervals=1.0,
    ),
    # Nominal is more than two intervals can bring back, else it looks like one misread sample.
    Fault.REGISTER_REVERSED: Spec(
        check="register_reversed",
        may=("correction_mismatch", "balance_mismatch", "usage_shift"),
        strength=((1.6, 2.4), (3.0, 6.0), (8.0, 15.0)),
        decidable_intervals=1.0,
    ),
    Fault.SENSOR_GLITCH: Spec(
        check="sensor_glitch",
        needs="roots",
        lasts=Lasts.SAMPLE,
        strength=((40.0, 45.0), (55.0, 70.0), (100.0, 128.0)),
        decidable_intervals=1.0,
        slowest_s=_FOUR_HOURLY,
    ),
    Fault.FLOW_SPIKE: Spec(
        check="flow_spike",
        side_effects=("flow_over_range",),
        may=("flow_rate_of_change", "meter_undersized"),
        lasts=Lasts.SAMPLE,
        strength=((1.3, 1.7), (2.0, 2.6), (3.0, 6.0)),
        decidable_intervals=1.0,
        slowest_s=_FOUR_HOURLY,
    ),
    Fault.FLOW_RATE: Spec(
        check="flow_rate_of_change",
        side_effects=("flow_over_range", "flow_spike"),
        may=("meter_undersized",),
        needs="fast",
        lasts=Lasts.SAMPLE,
        strength=((1.02, 1.2), (1.4, 2.0), (3.0, 4.0)),
    ),
    Fault.FLOW_STUCK: Spec(
        check="flow_stuck",
        may=("register_stalled", "night_flow"),
        lasts=Lasts.TIMES,
        strength=((1.1, 1.3), (1.6, 2.2), (3.0, 4.0)),
        decidable_h=6.0,
        decidable_intervals=6.0,
    ),
    Fault.REGISTER_JUMP: Spec(
        check="register_jump",
        may=("balance_mismatch", "correction_mismatch", *_USE),
        strength=((1.1, 1.4), (2.0, 4.0), (8.0, 12.0)),
        decidable_intervals=1.0,
    ),
    Fault.REGISTER_GLITCH: Spec(
        check="sensor_glitch",
        may=("correction_mismatch", "balance_mismatch", *_USE),
        lasts=Lasts.SAMPLE,
        strength=((1.0, 1.5), (3.0, 6.0), (8.0, 15.0)),
        decidable_intervals=1.0,
    ),
    Fault.METER_EXCHANGED: Spec(
        check="meter_exchanged",
        may=("meter_silent", "correction_mismatch", "balance_mismatch", *_MISSING, *_USE),
        lasts=Lasts.DAYS,
        strength=((0.08, 0.12), (0.3, 1.0), (2.0, 3.0)),
        shortest_days=14.0,
    ),
    Fault.METER_EXCHANGED_UNTOLD: Spec(
        check="meter_exchanged",
        side_effects=("meter_silent",),
        may=("correction_mismatch", "balance_mismatch", *_MISSING, *_USE),
        lasts=Lasts.DAYS,
        strength=((7.1, 7.3), (7.5, 9.0), (11.0, 13.0)),
        shortest_days=30.0,
        begins=(0.2, 0.4),
    ),
    Fault.BATTERY_CRITICAL: Spec(
        check="battery_critical",
        side_effects=("battery_low", "status_reported"),
        may=("battery_forecast",),
        needs="roots",
        strength=((0.03, 0.05), (0.1, 0.3), (0.4, 0.6)),
        decidable_h=6.0,
        slowest_s=_ANY,
    ),
    Fault.VALVE_LEAK: Spec(
        check="flow_with_valve_closed",
        may=("flow_under_range", *_PAYING, *_USE),
        needs="prepaid",
        lasts=Lasts.HOURS,
        hours=8.0,
        strength=((0.02, 0.04), (0.2, 0.3), (0.5, 0.7)),
        decidable_intervals=1.0,
    ),
    Fault.FLOW_NO_BALANCE: Spec(
        check="flow_without_balance",
        side_effects=("balance_exhausted", "balance_low"),
        may=("flow_under_range", *_PAYING, *_USE),
        needs="prepaid",
        lasts=Lasts.HOURS,
        hours=9.0,
        strength=((0.02, 0.04), (0.2, 0.3), (0.5, 0.7)),
        decidable_intervals=1.0,
    ),
    Fault.BALANCE_FROZEN: Spec(
        check="balance_frozen",
        may=_PAYING,
        needs="prepaid",
        lasts=Lasts.DAYS,
        strength=((2.2, 2.4), (3.0, 4.0), (5.0, 6.0)),
        decidable_h=48.0,
        shortest_days=12.0,
        slowest_s=_FOUR_HOURLY,
        begins=(0.15, 0.5),
    ),
    Fault.REGISTER_STALLED_PAID: Spec(
        check="register_stalled",
        may=("correction_mismatch", *_PAYING, *_USE),
        needs="prepaid",
        lasts=Lasts.HOURS,
        hours=9.0,
        decidable_h=1.0,
        decidable_intervals=1.0,
    ),
    Fault.CLOCK_AHEAD: Spec(
        check="clock_skew",
        may=("meter_silent",),
        strength=((70.0, 90.0), (120.0, 300.0), (400.0, 550.0)),
        needs="unhurried",
        slowest_s=_ANY,
        by_arrival=True,
    ),
    Fault.CLOCK_BEHIND: Spec(
        check="clock_skew",
        strength=((70.0, 90.0), (120.0, 300.0), (400.0, 550.0)),
        needs="unhurried",
        slowest_s=_ANY,
        by_arrival=True,
        undecided=True,
    ),
    Fault.STATUS: Spec(
        check="status_reported",
        lasts=Lasts.SAMPLES,
        strength=((1.0, 1.0), (3.0, 8.0), (10.0, 20.0)),
    ),
    Fault.LOW_OIL: Spec(check="oil_overdue", side_effects=("status_reported",), needs="roots"),
}

_SLOW: dict[Fault, Spec] = {
    # Days from the end of the history to the voltage at which the battery counts as low.
    Fault.BATTERY_DECAY: Spec(
        check="battery_forecast",
        may=("battery_low", "status_reported"),
        strength=((45.0, 55.0), (8.0, 14.0), (3.0, 5.0)),
        shortest_days=35.0,
        begins=(0.2, 0.35),
        slowest_s=_ANY,
        slow=True,
    ),
    Fault.PRICE_WRONG: Spec(
        check="balance_mismatch",
        may=("balance_forecast", "usage_shift"),
        needs="prepaid",
        strength=((0.025, 0.035), (0.08, 0.15), (0.25, 0.5)),
        decidable_h=24.0,
        shortest_days=30.0,
        begins=(0.6, 0.75),
        slow=True,
    ),
    # Days for which nobody pays once the balance lasts a week only.
    Fault.DAYS_TO_ZERO: Spec(
        check="balance_forecast",
        may=("balance_low", "balance_exhausted"),
        needs="prepaid",
        lasts=Lasts.DAYS,
        strength=((0.3, 0.6), (4.0, 5.0), (6.0, 6.5)),
        decidable_h=24.0,
        shortest_days=21.0,
        begins=(0.5, 0.68),
        slow=True,
    ),
    Fault.LOW_RECEPTION: Spec(
        check="low_reception",
        may=("meter_silent", "data_gap"),
        strength=((0.2, 0.24), (0.35, 0.45), (0.55, 0.65)),
        decidable_h=36.0,
        shortest_days=5.0,
        slow=True,
    ),
    # Shares of 2 % of Qmax, burnt day and night.
    Fault.SMALL_LEAK: Spec(
        check="small_continuous_flow",
        may=("flow_under_range", "flow_stuck", *_USE),
        strength=((0.1, 0.15), (0.4, 0.6), (0.8, 0.95)),
        decidable_h=84.0,
        shortest_days=21.0,
        begins=(0.45, 0.65),
        slow=True,
    ),
    Fault.NIGHT_FLOW: Spec(
        check="night_flow",
        may=("usage_shift", "balance_forecast", "small_continuous_flow", "meter_undersized"),
        needs="resting",
        strength=((0.05, 0.08), (0.2, 0.3), (0.5, 0.6)),
        decidable_h=168.0,
        shortest_days=35.0,
        begins=(0.6, 0.7),
        slow=True,
    ),
    Fault.USAGE_UP: Spec(
        check="usage_shift",
        may=("night_flow", "balance_forecast", "meter_undersized"),
        strength=((1.3, 1.6), (2.8, 3.1), (3.6, 4.5)),
        decidable_h=168.0,
        shortest_days=49.0,
        begins=(0.7, 0.78),
        slow=True,
    ),
    Fault.USAGE_DOWN: Spec(
        check="usage_shift",
        may=("meter_oversized", "flow_under_range"),
        strength=((0.65, 0.75), (0.25, 0.33), (0.12, 0.18)),
        decidable_h=168.0,
        shortest_days=49.0,
        begins=(0.7, 0.78),
        slow=True,
    ),
    # Share of Qmax that the appliances burn at most; a healthy customer's is 0.45 to 0.75.
    Fault.OVERSIZED: Spec(
        check="meter_oversized",
        lasts=Lasts.ALWAYS,
        strength=((0.12, 0.16), (0.06, 0.08), (0.03, 0.05)),
        decidable_h=30 * 24.0,
        shortest_days=35.0,
        slow=True,
    ),
    Fault.UNDERSIZED: Spec(
        check="meter_undersized",
        side_effects=("flow_over_range", "flow_over_range_sustained"),
        may=("flow_spike", "flow_rate_of_change", "balance_low", "balance_exhausted", "balance_forecast"),
        lasts=Lasts.ALWAYS,
        strength=((1.1, 1.25), (1.6, 1.8), (2.2, 2.5)),
        decidable_h=30 * 24.0,
        shortest_days=35.0,
        slow=True,
    ),
    Fault.PRESSURE_DRIFT: Spec(
        check="correction_mismatch",
        needs="roots",
        strength=((0.035, 0.045), (0.08, 0.15), (0.2, 0.3)),
        decidable_h=96.0,
        shortest_days=12.0,
        slow=True,
    ),
    Fault.STUCK: Spec(
        check="idle_or_stuck",
        may=("usage_shift", "meter_oversized"),
        decidable_h=30 * 24.0,
        shortest_days=42.0,
        begins=(0.1, 0.2),
        slowest_s=_ANY,
        slow=True,
    ),
}

#: Every kind of fault, in the order in which meters get them.
EXPECTED: Mapping[Fault, Spec] = MappingProxyType(_PER_READING | _SLOW)
