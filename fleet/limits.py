"""The limits of one meter, each with where it comes from."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np

from fleet.meters import OILED, Meter
from fleet.policies import Origin, ResolvedPolicy
from fleet.policy import UNKNOWN_BATTERY
from fleet.ratings import default_qmax_m3h, default_qmin_m3h

#: Columns of `meter_table.MeterTable` that hold a limit, NaN where there is none.
LIMITS = (
    "qmax_m3h",
    "qmin_m3h",
    "interval_s",
    "register_top_m3",
    "register_step_m3",
    "installed_day",
    "low_balance",
    "price_per_m3",
    "battery_warn_v",
    "battery_critical_v",
    "battery_due_day",
    "battery2_warn_v",
    "battery2_critical_v",
    "battery2_due_day",
    "oil_filled_day",
    "oil_interval_days",
    "oil_volume_at_fill_m3",
    "oil_interval_m3",
)


class ResolvedLimit(NamedTuple):
    """A limit and where it comes from."""

    value: float
    origin: Origin


_NOTHING = ResolvedLimit(np.nan, Origin.NONE)


def resolve(meter: Meter, resolved: ResolvedPolicy) -> dict[str, ResolvedLimit]:
    """Resolve every limit of a meter; the keys are `LIMITS`."""
    policy = resolved.policy
    digits = _own_or(meter.register_digits, policy.register_digits, "register_digits", resolved)
    unit = meter.balance_unit or "CNY"
    in_gas = ResolvedLimit(1.0, Origin.METER)
    return {
        **_rated_range(meter),
        "interval_s": _own_or(meter.interval_s, policy.interval_s, "interval_s", resolved),
        "register_top_m3": ResolvedLimit(10.0**digits.value, digits.origin),
        "register_step_m3": _own_or(
            meter.register_step, policy.register_step_m3, "register_step_m3", resolved
        ),
        "installed_day": _own(day_number(meter.installed_on)),
        "low_balance": _own_or(
            meter.low_balance, policy.low_balance.get(unit, np.nan), f"low_balance.{unit}", resolved
        ),
        "price_per_m3": in_gas if unit == "m3" else _price(resolved),
        **_battery(meter, "battery", resolved),
        **_battery(meter, "battery2", resolved),
        **_oil(meter, resolved),
    }


def _price(resolved: ResolvedPolicy) -> ResolvedLimit:
    """Resolve the price, of a tariff the highest: so much gas at least is worth an amount."""
    price, tariff = resolved.policy.price_per_m3, resolved.policy.tariff
    if not tariff:
        return _own_or(None, price, "price_per_m3", resolved)
    highest = np.nanmax([price, *(step for steps in tariff.values() for step in steps)])
    return ResolvedLimit(float(highest), resolved.origin.get(f"tariff.{max(tariff)}", Origin.DEFAULT))


def rated_range_m3h(meter: Meter) -> tuple[float, float]:
    """Resolve (Qmin, Qmax) of a meter, m³/h; NaN where nothing is known."""
    limits = _rated_range(meter)
    return limits["qmin_m3h"].value, limits["qmax_m3h"].value


def day_number(day: date | None) -> float:
    """Count days since 1970-01-01; NaN for None."""
    return np.nan if day is None else float((day - date(1970, 1, 1)).days)


def _rated_range(meter: Meter) -> dict[str, ResolvedLimit]:
    qmax, qmin = _own(meter.qmax), _own(meter.qmin)
    by_size = default_qmax_m3h(meter.g_size) if meter.g_size else None
    if qmax is _NOTHING and by_size is not None:
        qmax = ResolvedLimit(by_size, Origin.MODEL)
    if qmin is _NOTHING and qmax is not _NOTHING:
        by_model = default_qmin_m3h(meter.g_size or "", qmax.value, meter.technology)
        qmin = ResolvedLimit(by_model, Origin.MODEL)
    return {"qmin_m3h": qmin, "qmax_m3h": qmax}


def _battery(meter: Meter, name: str, resolved: ResolvedPolicy) -> dict[str, ResolvedLimit]:
    """Resolve a battery's limits; one that was never replaced came with the meter."""
    kind, life = getattr(meter, f"{name}_type"), getattr(meter, f"{name}_life_days")
    there = kind is not None or life is not None
    replaced_on = getattr(meter, f"{name}_replaced_on") or (meter.installed_on if there else None)
    by_type = _battery_limit(kind, "life_days", resolved)
    life_days = by_type if life is None else ResolvedLimit(life, Origin.METER)
    due_day = day_number(replaced_on) + life_days.value
    return {
        f"{name}_warn_v": _battery_limit(kind, "warn_v", resolved),
        f"{name}_critical_v": _battery_limit(kind, "critical_v", resolved),
        f"{name}_due_day": ResolvedLimit(due_day, life_days.origin),
    }


def _battery_limit(kind: str | None, name: str, resolved: ResolvedPolicy) -> ResolvedLimit:
    """Look up a limit of a battery type; one of a type that nobody knows has what every type keeps."""
    types = resolved.policy.battery
    known = kind in types
    strictest = UNKNOWN_BATTERY[name](types, key=lambda kind: getattr(types[kind], name))
    of_kind = kind if known and kind is not None else strictest
    # A type's own numbers are the model's; the least of all types is nobody's but the default.
    where = resolved.origin.get(f"battery.{of_kind}.{name}", Origin.MODEL if known else Origin.DEFAULT)
    return ResolvedLimit(float(getattr(types[of_kind], name)), where)


def _oil(meter: Meter, resolved: ResolvedPolicy) -> dict[str, ResolvedLimit]:
    """Resolve the oil's limits; a meter without bearings to oil has none, whatever its row says."""
    names = ("oil_filled_day", "oil_interval_days", "oil_volume_at_fill_m3", "oil_interval_m3")
    if meter.technology not in OILED:
        return dict.fromkeys(names, _NOTHING)
    policy = resolved.policy
    return {
        # Oil that was never changed came with the meter.
        "oil_filled_day": _own(day_number(meter.oil_filled_on or meter.installed_on)),
        "oil_interval_days": _own_or(
            meter.oil_interval_days, policy.oil_interval_days, "oil_interval_days", resolved
        ),
        "oil_volume_at_fill_m3": _own(meter.oil_volume_at_fill),
        "oil_interval_m3": _own_or(
            meter.oil_interval_m3, policy.oil_interval_m3, "oil_interval_m3", resolved
        ),
    }


def _own(value: float | None) -> ResolvedLimit:
    """Take what the registry says of this very meter."""
    return _NOTHING if value is None or np.isnan(value) else ResolvedLimit(float(value), Origin.METER)


def _own_or(value: float | None, by_policy: float, name: str, resolved: ResolvedPolicy) -> ResolvedLimit:
    """Take the registry's word on this meter, else its policy's."""
    if value is not None:
        return ResolvedLimit(float(value), Origin.METER)
    if np.isnan(by_policy):
        return _NOTHING
    return ResolvedLimit(float(by_policy), resolved.origin.get(name, Origin.DEFAULT))
