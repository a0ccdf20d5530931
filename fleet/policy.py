"""Limits that neither a meter nor its model states: the company's policy, with its defaults.

None of the numbers below is a quoted rule; each is a default that a company may change.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class BatteryLimits:
    """Voltages of one battery type, V, and its life in days."""

    warn_v: float
    critical_v: float
    life_days: int


#: Battery type -> limits; common knowledge without a source at hand. Lithium
#: voltage is flat, so the calendar matters more than the volts.
BATTERIES = MappingProxyType(
    {
        "lithium_3v6": BatteryLimits(3.3, 3.1, 6 * 365),
        "lithium_7v2": BatteryLimits(6.7, 6.2, 6 * 365),
        "alkaline_6v": BatteryLimits(4.9, 4.5, 365),
    }
)


#: For a battery of unknown type: below these voltages every known type is at its end, and none lives longer.
UNKNOWN_BATTERY = MappingProxyType({"warn_v": min, "critical_v": min, "life_days": max})


def battery_type(text: str) -> str | None:
    """Recognise a battery type however a registry spells it; None where it cannot be told."""
    if text in BATTERIES:
        return text
    plain = text.lower()
    if "alkal" in plain or "碱" in plain:
        return "alkaline_6v"
    lithium = re.search(r"lithium|锂|\bli\b|\bli[-/ ]", plain) is not None
    if re.search(r"(?<![0-9.])7[.v]2(?![0-9])", plain):
        return "lithium_7v2"
    return "lithium_3v6" if lithium or re.search(r"(?<![0-9.])3[.v]6(?![0-9])", plain) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of a company; a meter's own value always goes first."""

    #: Snapshot flow above this many Qmax is FAIL, above one Qmax SUSPECT (Qr = 1.2 Qmax).
    overload_ratio: float = 1.2
    #: Width of the clock-aligned windows of the register mean.
    mean_window_s: int = 3600
    #: Flow has to stay below Qmin this long.
    under_range_for_s: int = 7200
    #: A finding of that is over once it has not been so for this long; what comes back each night is one.
    under_range_over_after_s: int = 2 * 86400
    #: A snapshot this many Qmax from the mean of its neighbours is a spike, SUSPECT and FAIL.
    spike_ratio: float = 1.0
    spike_fail_ratio: float = 2.0
    #: Changes of the flow, Qmax per second, above which they are SUSPECT and FAIL.
    rate_qmax_per_s: float = 0.02
    rate_fail_qmax_per_s: float = 0.05
    #: A change over a shorter time counts as one over this time.
    rate_over_at_least_s: int = 60
    #: Snapshots above 0 that stay the same for this long are stuck, SUSPECT and FAIL, but never before so
    #: many of the meter's intervals, ...
    stuck_for_s: int = 6 * 3600
    stuck_fail_for_s: int = 24 * 3600
    stuck_after_intervals: float = 6.0
    #: ... only if that is as improbable at this meter, ...
    stuck_chance: float = 1e-6
    #: ... and the register's mean differs from them by more than this share.
    stuck_agreement: float = 0.05
    #: A register that moves at least this many steps less than the flow demands is stalled.
    stalled_steps: float = 2.0
    stalled_for_s: int = 3600
    #: And for so many of its intervals.
    stalled_after_intervals: float = 3.0
    #: And only if so much flow would be shown that improbably by chance.
    stalled_chance: float = 1e-6
    #: A register that is shown up to so much late is waited for, once that was proven.
    stalled_late_at_most_s: int = 21600
    #: A register that has not moved for this long is idle or stuck.
    idle_after_s: int = 30 * 86400
    #: A decrease across a gap this long is more likely an exchanged meter than a reversal.
    exchange_gap_s: int = 7 * 86400
    #: Silent after this many reporting intervals, and never sooner than the floor.
    silent_after_intervals: float = 3.0
    silent_after_at_least_s: int = 900
    #: Numbered readings that have not come for this long, although they were asked for, are a finding.
    gap_open_after_s: int = 1800
    #: A reading may be that much ahead of its arrival; clocks differ.
    clock_ahead_s: float = 60.0
    #: A single temperature that far from both its neighbours is a glitch, K.
    glitch_temperature_k: float = 20.0
    #: Share of the oil's interval, by calendar or volume, at which service is due soon.
    oil_due_soon_ratio: float = 0.95
    #: A register that rises faster than this many Qmax was misread if it comes back.
    implausible_ratio: float = 10.0
    #: The same for a register at standard conditions, which a tenfold pressure makes ten times as fast.
    implausible_std_ratio: float = 100.0
    #: A battery overdue by more than this many days is FAIL, before that SUSPECT.
    battery_overdue_fail_days: float = 90.0
    #: Oil of meters with bearings is due after that time, or that volume; NaN for no limit.
    oil_interval_days: float = math.nan
    oil_interval_m3: float = math.nan
    #: A prepaid customer may go so far below 0 before the valve closes (overdraft, emergency credit);
    #: in the balance's unit.
    overdraft: float = 0.0
    #: A snapshot up to this share of Qmax is a zero that creeps, and no flow behind a closed valve.
    creep_share_of_qmax: float = 0.0005
    #: What Qmax delivers in this time may still pass a valve that closes.
    last_gas_s: float = 30.0
    #: Gas that passed a closed valve, or without a balance, is over once nothing moved for so long.
    barred_rest_s: int = 86400
    #: A prepaid balance that does not change for so long (some are settled once a day) while the
    #: register moves by so many steps, and by so much at least, is frozen.
    balance_frozen_for_s: int = 2 * 86400
    balance_frozen_steps: float = 10.0
    balance_frozen_at_least_m3: float = 2.0
    #: What a cubic metre costs where the balance is money, NaN where nobody says.
    price_per_m3: float = math.nan
    #: First day (ISO 8601) of each tariff -> the prices of its steps; from then on instead of `price_per_m3`.
    tariff: MappingProxyType[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    # Slow checks, on hourly roll-ups. Each number is a default, not a quoted rule.
    #: Days in a row without rest, with a small constant flow, that make a leak suspected, and FAIL; 3 to 14.
    leak_days: float = 3.0
    leak_fail_days: float = 7.0
    #: A smaller flow is never FAIL, for a few pilot flames may burn it, m³/h.
    leak_fail_m3h: float = 0.3
    #: A flow below this share of Qmax, or below Qmin, is small.
    leak_share_of_qmax: float = 0.02
    #: On at least this share of its days before a meter must have rested for the check to decide.
    leak_rested_share: float = 0.8
    #: Share by which a constant flow may vary above its lowest.
    leak_constancy: float = 0.25
    #: Of the hours that used to rest at least this share must show the constant flow.
    leak_filled_share: float = 0.5
    #: Nights are above those before by more than this many deviations ...
    night_flow_deviations: float = 4.0
    #: ... and by more than this share of them, and of Qmax.
    night_flow_share: float = 0.5
    night_flow_share_of_qmax: float = 0.005
    #: Where more than this share of the nights before were as high it is the customer's way.
    night_flow_seen_share: float = 0.1
    #: A week is this many times, or one part in so many, of what the weeks before lead one to expect ...
    shift_ratio: float = 2.0
    shift_fail_ratio: float = 4.0
    #: ... and further from it than this many deviations of those weeks ...
    shift_deviations: float = 4.0
    #: ... and its days lie apart from those before by this many deviations of both.
    shift_day_deviations: float = 3.0
    #: A day with less than this share of its weekday's volume is idle, and no shift.
    shift_idle_share: float = 0.05
    #: A meter that never goes above this share of Qmax, and measures no more than the second share
    #: of its volume there, is too large. Qt = 0.1 Qmax.
    oversized_share_of_qmax: float = 0.1
    oversized_volume_share: float = 0.01
    #: A meter that measures more than this share of its volume above Qmax, on at least so many days of 30,
    #: is too small.
    undersized_volume_share: float = 0.1
    undersized_days: float = 5.0
    #: Share by which what left the balance may differ from what was measured, and above which it is FAIL.
    balance_mismatch_share: float = 0.02
    balance_mismatch_fail_share: float = 0.1
    #: The same share, where the price is only known from the meter's own past.
    balance_mismatch_learned_share: float = 0.05
    #: What an undisturbed week may differ by beside that, in steps of the register and the balance.
    balance_mismatch_steps: float = 4.0
    #: Days to zero balance, or to a battery's critical voltage, at which that is said, and FAIL.
    balance_forecast_days: float = 7.0
    balance_forecast_fail_days: float = 3.0
    battery_forecast_days: float = 90.0
    battery_forecast_fail_days: float = 30.0
    #: Volts that a battery must have lost over the weeks looked at before its end is forecast.
    battery_forecast_drop_v: float = 0.05
    #: A battery whose voltage rose by this share was replaced.
    battery_replaced_share: float = 0.03
    #: Share by which the standard volume may differ from the corrected working volume, and FAIL.
    correction_mismatch_share: float = 0.03
    correction_mismatch_fail_share: float = 0.1
    #: Mole fractions of the gas by component (`analytics.usage.compressibility`); empty: pure methane.
    gas_composition: MappingProxyType[str, float] = field(default_factory=lambda: MappingProxyType({}))
    #: Share of the expected readings below which reception is low, and FAIL.
    reception_share: float = 0.8
    reception_fail_share: float = 0.5
    #: What the registry leaves empty: the time between readings, and the register's digits and resolution.
    interval_s: int = 3600
    register_digits: int = 8
    register_step_m3: float = 1.0
    #: Unit of the balance -> balance at or below which a prepaid customer is warned.
    low_balance: MappingProxyType[str, float] = field(
        default_factory=lambda: MappingProxyType({"CNY": 200.0, "m3": 50.0})
    )
    #: Battery type -> its voltages and life.
    battery: MappingProxyType[str, BatteryLimits] = field(default_factory=lambda: BATTERIES)


DEFAULT_POLICY = Policy()
