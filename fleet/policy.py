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
    #: A register that moves at least this many steps less than the flow demands is stalled.
    stalled_steps: float = 2.0
    stalled_for_s: int = 3600
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
    #: A prepaid balance that does not change for so long (some are settled once a day) while the
    #: register moves by so many steps, and by so much at least, is frozen.
    balance_frozen_for_s: int = 2 * 86400
    balance_frozen_steps: float = 10.0
    balance_frozen_at_least_m3: float = 2.0
    #: What a cubic metre costs where the balance is money, NaN where nobody says.
    price_per_m3: float = math.nan
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
