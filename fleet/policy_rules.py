"""What values a policy's fields may have, and which of them have to fit together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from fleet.policy import DEFAULT_POLICY, BatteryLimits, Policy

#: Beyond it no limit makes sense; in seconds it is 31 years.
_LARGEST = 1e9

#: Field -> smallest and largest value, where the usual bounds (above 0, and `_LARGEST`) are not enough.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "overload_ratio": (1, _LARGEST),
    "oil_due_soon_ratio": (0.01, 1),
    "mean_window_s": (1, 31 * 86400),
    "interval_s": (1, 31 * 86400),
    "register_digits": (1, 15),
    "register_step_m3": (1e-9, 1000),
    "life_days": (1, 36500),
    "oil_interval_days": (1, 36500),
    "oil_interval_m3": (1e-9, 1e12),
    # Probabilities; at 1 everything is improbable enough.
    "stuck_chance": (1e-100, 1),
    "stalled_chance": (1e-100, 1),
    # A run of days is followed for two weeks, and a small flow has to be constant for three days.
    "leak_days": (3, 14),
    "leak_fail_days": (3, 14),
    "undersized_days": (1, 30),
    # A week that is as expected is no shift.
    "shift_ratio": (1.01, _LARGEST),
    "shift_fail_ratio": (1.01, _LARGEST),
    # Shares of a whole; at 0 nothing would be left.
    **dict.fromkeys(
        (
            "leak_rested_share",
            "leak_filled_share",
            "undersized_volume_share",
            "reception_share",
            "reception_fail_share",
        ),
        (0.001, 1),
    ),
    # 0 has a meaning here, too: not even the smallest share.
    **dict.fromkeys(("shift_idle_share", "oversized_volume_share", "night_flow_seen_share"), (0, 1)),
    # 0 has a meaning: at once, never forgiven, only an empty balance.
    **dict.fromkeys(
        (
            "under_range_for_s",
            "under_range_over_after_s",
            "stalled_for_s",
            "stalled_late_at_most_s",
            "exchange_gap_s",
            "silent_after_intervals",
            "silent_after_at_least_s",
            "gap_open_after_s",
            "rate_over_at_least_s",
            "stuck_after_intervals",
            "stuck_agreement",
            "last_gas_s",
            "leak_fail_m3h",
            "barred_rest_s",
            "battery_overdue_fail_days",
            "low_balance",
        ),
        (0, _LARGEST),
    ),
}

#: (the one that may not be larger, the one that may not be smaller), beside those that `pairs` finds.
_ORDERED = (("overload_ratio", "implausible_ratio"), ("overload_ratio", "implausible_std_ratio"))


@dataclass(frozen=True, slots=True)
class Rule:
    """What one number of a policy may be."""

    whole: bool
    smallest: float
    largest: float
    #: Whether the smallest value itself is not allowed.
    above: bool = False

    def objection(self, value: Any) -> str | None:
        """Say what is wrong with a value and what to write; None where nothing is."""
        kind = "a whole number" if self.whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return f"{value!r} is not {kind}; write {kind} without quotes"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is no limit; leave the line out where there is none"
        if self.smallest <= value <= self.largest and not (self.above and value == self.smallest):
            return None
        least = f"above {self.smallest:g}" if self.above else f"at least {self.smallest:g}"
        return f"{value!r:.20} makes no sense; it has to be {least} and at most {self.largest:.12g}"


def _rule(name: str, kind: str, default: float) -> Rule:
    smallest, largest = _BOUNDS.get(name, (0, _LARGEST))
    # A limit that is 0 by default may be 0.
    above = name not in _BOUNDS and default != 0
    return Rule(whole=kind == "int", smallest=smallest, largest=largest, above=above)


def _rules(of: type, defaults: Any) -> dict[str, Rule]:
    numbers = [f for f in fields(of) if f.type in ("int", "float")]
    return {f.name: _rule(f.name, str(f.type), getattr(defaults, f.name)) for f in numbers}


#: Field of `Policy` that is one number -> its rule.
NUMBERS: Mapping[str, Rule] = _rules(Policy, DEFAULT_POLICY)
#: Field of `BatteryLimits` -> its rule.
BATTERY_NUMBERS: Mapping[str, Rule] = _rules(BatteryLimits, next(iter(DEFAULT_POLICY.battery.values())))
#: Each unit's low balance.
LOW_BALANCE = _rule("low_balance", "float", 1.0)

#: A component's mole fraction.
SHARE = Rule(whole=False, smallest=0, largest=1)


def is_day(text: str) -> bool:
    """Tell whether a text is a day like 2026-10-01."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def pairs() -> list[tuple[str, str]]:
    """List the names of which the first may not be larger than the second.

    Those are a suspect limit and its fail limit (`spike_ratio`, `spike_fail_ratio`), in the order
    that their defaults have, a battery's two voltages, and a few more.
    """
    found = list(_ORDERED)
    for fail in NUMBERS:
        suspect = fail.replace("_fail", "", 1)
        if suspect != fail and suspect in NUMBERS:
            rising = getattr(DEFAULT_POLICY, suspect) <= getattr(DEFAULT_POLICY, fail)
            found.append((suspect, fail) if rising else (fail, suspect))
    return [
        *found,
        *((f"battery.{kind}.critical_v", f"battery.{kind}.warn_v") for kind in DEFAULT_POLICY.battery),
    ]
