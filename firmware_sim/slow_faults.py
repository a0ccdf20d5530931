"""Faults that only days and weeks show."""

from __future__ import annotations

from firmware_sim.fault_spec import ANY_S, USE, Lasts, Spec
from firmware_sim.faults import Fault

SLOW_FAULTS: dict[Fault, Spec] = {
    # Days from the end of the history to the voltage at which the battery counts as low.
    Fault.BATTERY_DECAY: Spec(
        check="battery_forecast",
        may=("battery_low", "status_reported"),
        strength=((45.0, 55.0), (8.0, 14.0), (3.0, 5.0)),
        shortest_days=35.0,
        begins=(0.2, 0.35),
        slowest_s=ANY_S,
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
        needs="resting",
        may=("flow_under_range", "flow_stuck", *USE),
        strength=((0.1, 0.15), (0.4, 0.6), (0.8, 0.95)),
        decidable_h=84.0,
        shortest_days=21.0,
        begins=(0.45, 0.65),
        slow=True,
    ),
    # Who never rests burns day and night anyway.
    Fault.SMALL_LEAK_RESTLESS: Spec(
        check="small_continuous_flow",
        needs="restless",
        may=("flow_under_range", "flow_stuck", *USE),
        strength=((0.1, 0.15), (0.4, 0.6), (0.8, 0.95)),
        decidable_h=84.0,
        shortest_days=21.0,
        begins=(0.45, 0.65),
        slow=True,
        undecided=True,
    ),
    Fault.NIGHT_FLOW: Spec(
        check="night_flow",
        may=("usage_shift", "balance_forecast", "small_continuous_flow", "meter_undersized"),
        needs="quiet nights",
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
        may=("flow_under_range",),
        lasts=Lasts.ALWAYS,
        strength=((0.12, 0.16), (0.06, 0.08), (0.03, 0.05)),
        decidable_h=30 * 24.0,
        shortest_days=35.0,
        slow=True,
    ),
    Fault.UNDERSIZED: Spec(
        needs="unhurried",
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
        slowest_s=ANY_S,
        slow=True,
    ),
}
