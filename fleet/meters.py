"""A meter as the registry has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


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


#: Technologies with bearings to oil.
OILED = frozenset({Technology.ROOTS, Technology.TURBINE})


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
