"""A meter as the registry has it, and a fleet of them as columns with every limit resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fleet.policy import (
    BATTERIES,
    DEFAULT_POLICY,
    UNKNOWN_BATTERY_CRITICAL_V,
    UNKNOWN_BATTERY_LIFE_DAYS,
    UNKNOWN_BATTERY_WARN_V,
    Policy,
)
from fleet.ratings import default_qmax_m3h, default_qmin_m3h


class CustomerKind(StrEnum):
    """Whose meter it is."""

    COMMERCIAL = "commercial"
    INDUSTRIAL = "industrial"
    PUBLIC_WELFARE = "public_welfare"
    RESIDENTIAL = "residential"


class ReadingClass(StrEnum):
    """How often the customer is read; decides how often it must be inspected."""

    DAILY = "daily"
    WEEKLY = "weekly"
    THRICE_MONTHLY = "thrice_monthly"
    TWICE_MONTHLY = "twice_monthly"


class Technology(StrEnum):
    """How the meter measures."""

    ROOTS = "roots"
    DIAPHRAGM = "diaphragm"
    TURBINE = "turbine"
    ULTRASONIC = "ultrasonic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One row of the registry; None where the registry is silent. Field names are the CSV's."""

    meter_id: str
    company: str
    customer: str
    customer_kind: CustomerKind
    reading_class: ReadingClass
    technology: Technology
    g_size: str | None = None
    qmax: float | None = None
    qmin: float | None = None
    prepaid: bool = False
    balance_unit: str | None = None
    interval_s: int | None = None
    register_digits: int | None = None
    register_step: float | None = None
    installed_on: date | None = None
    battery_type: str | None = None
    battery_replaced_on: date | None = None
    battery_life_days: int | None = None
    battery2_type: str | None = None
    battery2_replaced_on: date | None = None
    battery2_life_days: int | None = None
    oil_filled_on: date | None = None
    oil_volume_at_fill: float | None = None
    oil_interval_days: int | None = None
    oil_interval_m3: float | None = None
    low_balance: float | None = None
    manager: str | None = None
    contact: str | None = None
    phone: str | None = None


#: Fields of the registry, in the order of the CSV.
FIELDS: tuple[str, ...] = tuple(Meter.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterTable:
    """m meters as arrays of shape (m,), sorted by `meter_key`; NaN where there is no limit."""

    meter_key: NDArray[np.int32]
    qmax_m3h: NDArray[np.float64]
    qmin_m3h: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    #: The register rolls over at this value.
    register_top_m3: NDArray[np.float64]
    register_step_m3: NDArray[np.float64]
    prepaid: NDArray[np.bool_]
    low_balance: NDArray[np.float64]
    battery_warn_v: NDArray[np.float64]
    battery_critical_v: NDArray[np.float64]
    #: Days since 1970 in the company's calendar; NaN where unknown, likewise below.
    battery_due_day: NDArray[np.float64]
    battery2_warn_v: NDArray[np.float64]
    battery2_critical_v: NDArray[np.float64]
    battery2_due_day: NDArray[np.float64]
    oil_filled_day: NDArray[np.float64]
    oil_interval_days: NDArray[np.float64]
    oil_volume_at_fill_m3: NDArray[np.float64]
    oil_interval_m3: NDArray[np.float64]

    @classmethod
    def build(
        cls, meters: Sequence[Meter], keys: Sequence[int] | None = None, policy: Policy = DEFAULT_POLICY
    ) -> Self:
        """Resolve every limit: the meter's own, then its model's, then the policy's.

        `keys` are the meters' numbers; without them the position is the number.
        """
        numbers = np.arange(len(meters)) if keys is None else np.asarray(keys)
        order = np.argsort(numbers, kind="stable")
        rows = [_resolve(meters[at], policy) for at in order]
        columns: dict[str, NDArray[Any]] = {
            name: np.array([row[name] for row in rows], dtype=np.float64)
            for name in cls.__dataclass_fields__
            if name not in ("meter_key", "prepaid")
        }
        prepaid = np.array([meters[at].prepaid for at in order], dtype=np.bool_)
        return cls(meter_key=numbers[order].astype(np.int32), prepaid=prepaid, **columns)

    def __len__(self) -> int:
        return len(self.meter_key)

    def take(self, rows: NDArray[Any]) -> Self:
        """Select meters by a mask or by ascending positions."""
        return type(self)(**{n: getattr(self, n)[rows] for n in self.__dataclass_fields__})

    def rows_of(self, meter_key: NDArray[np.int32]) -> NDArray[np.intp]:
        """Find the row of each meter number; every number must be in the table."""
        return np.searchsorted(self.meter_key, meter_key)


def rated_range_m3h(meter: Meter) -> tuple[float, float]:
    """Resolve (Qmin, Qmax) of a meter, m³/h; NaN where nothing is known."""
    qmax = meter.qmax
    if qmax is None and meter.g_size:
        qmax = default_qmax_m3h(meter.g_size)
    if qmax is None:
        return (np.nan if meter.qmin is None else meter.qmin), np.nan
    if meter.qmin is not None:
        return meter.qmin, qmax
    return default_qmin_m3h(meter.g_size or "", qmax, meter.technology), qmax


def _resolve(meter: Meter, policy: Policy) -> dict[str, float]:
    qmin, qmax = rated_range_m3h(meter)
    digits = meter.register_digits or policy.register_digits
    return {
        "qmax_m3h": qmax,
        "qmin_m3h": qmin,
        "interval_s": meter.interval_s or policy.interval_s,
        "register_top_m3": 10.0**digits,
        "register_step_m3": _first(meter.register_step, policy.register_step_m3),
        "low_balance": _first(meter.low_balance, policy.low_balance.get(meter.balance_unit or "CNY")),
        **_battery(meter, "battery"),
        **_battery(meter, "battery2"),
        **_oil(meter),
    }


def _oil(meter: Meter) -> dict[str, float]:
    """Resolve the oil's limits; a meter without bearings to oil has none, whatever its row says."""
    oiled = meter.technology in (Technology.ROOTS, Technology.TURBINE)
    # Oil that was never changed came with the meter.
    filled_on = meter.oil_filled_on or meter.installed_on
    return {
        "oil_filled_day": day_number(filled_on if oiled else None),
        "oil_interval_days": _first(meter.oil_interval_days if oiled else None),
        "oil_volume_at_fill_m3": _first(meter.oil_volume_at_fill if oiled else None),
        "oil_interval_m3": _first(meter.oil_interval_m3 if oiled else None),
    }


def _battery(meter: Meter, name: str) -> dict[str, float]:
    """Resolve a battery's limits; one that was never replaced came with the meter."""
    kind, life = getattr(meter, f"{name}_type"), getattr(meter, f"{name}_life_days")
    there = kind is not None or life is not None
    replaced_on = getattr(meter, f"{name}_replaced_on") or (meter.installed_on if there else None)
    limits = BATTERIES.get(kind or "")
    life_days = _first(life, limits.life_days if limits else UNKNOWN_BATTERY_LIFE_DAYS)
    return {
        f"{name}_warn_v": limits.warn_v if limits else UNKNOWN_BATTERY_WARN_V,
        f"{name}_critical_v": limits.critical_v if limits else UNKNOWN_BATTERY_CRITICAL_V,
        f"{name}_due_day": day_number(replaced_on) + life_days,
    }


def day_number(day: date | None) -> float:
    """Count days since 1970-01-01; NaN for None."""
    return np.nan if day is None else float((day - date(1970, 1, 1)).days)


def _first(*values: float | None) -> float:
    return next((float(value) for value in values if value is not None), np.nan)
