"""The registry row of a simulated meter, with the dates and limits that make calendar faults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from firmware_sim.faults import Fault, Stage
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from fleet.policy import BATTERIES, DEFAULT_POLICY
from fleet.ratings import QMAX_M3H, ROTARY_QMIN_M3H

CORRECTOR_BATTERY = "lithium_3v6"
CONTROLLER_BATTERY = "alkaline_6v"
#: Healthy load never exceeds this share of Qmax.
HIGHEST_LOAD = 0.8
_SMALL_DIAPHRAGM_M3H = 16.0
_SMALL_ROOTS_M3H = 160.0
_PRICES_CNY_M3 = (3.45, 3.82, 4.1)
#: The oil's interval in hours at Qmax; long against any history, see `_oil`.
_OIL_HOURS = 5000.0


@dataclass(slots=True, kw_only=True)
class Site:
    """A place for a meter: who, which size, how it reports."""

    meter_id: str
    company: str
    customer: str
    customer_kind: CustomerKind
    reading_class: ReadingClass
    profile: str
    roots: bool
    prepaid: bool
    g_size: str
    interval_s: int
    manager: str
    contact: str | None


def register(site: Site, fault: Fault, stage: Stage, rng: np.random.Generator) -> Meter:
    """Write the registry row of a site, so that a calendar fault is there and no other."""
    qmax = QMAX_M3H[site.g_size]
    return Meter(
        meter_id=site.meter_id,
        company=site.company,
        customer=site.customer,
        customer_kind=site.customer_kind,
        reading_class=site.reading_class,
        technology=Technology.ROOTS if site.roots else Technology.DIAPHRAGM,
        g_size=site.g_size,
        qmax=qmax if rng.integers(2) else None,
        qmin=_qmin(site, rng),
        prepaid=site.prepaid,
        interval_s=site.interval_s,
        register_digits=8,
        register_step=register_step_m3(site.roots, qmax),
        installed_on=stage.last_day - timedelta(days=int(rng.integers(700, 2500))),
        manager=site.manager,
        contact=site.contact,
        phone=f"000-{rng.integers(10_000):04d}" if rng.integers(2) else None,
        **_batteries(site, fault, stage, rng),
        **(_oil(qmax, fault, stage, rng) if site.roots else {}),
        **(_prepayment(qmax, fault, rng) if site.prepaid else {}),
    )


def register_step_m3(roots: bool, qmax_m3h: float) -> float:  # noqa: FBT001 (reads as the site's column)
    """Give the register's resolution, m³."""
    if roots:
        return 0.1 if qmax_m3h <= _SMALL_ROOTS_M3H else 1.0
    return 0.001 if qmax_m3h < _SMALL_DIAPHRAGM_M3H else 0.01


def price_of(meter: Meter) -> float:
    """Give what a cubic metre costs in the balance's unit; the same meter pays the same price."""
    if meter.balance_unit == "m3":
        return 1.0
    return _PRICES_CNY_M3[len(meter.customer) % len(_PRICES_CNY_M3)]


def _qmin(site: Site, rng: np.random.Generator) -> float | None:
    certified = list(ROTARY_QMIN_M3H.get(site.g_size, {}).values()) if site.roots else []
    if not certified or not rng.integers(3):
        return None
    # From 1:20 upwards: a worse turndown leaves no room between Qmin and a night's load.
    return float(certified[int(rng.integers(1, len(certified)))])


def _batteries(site: Site, fault: Fault, stage: Stage, rng: np.random.Generator) -> dict[str, Any]:
    kind = CORRECTOR_BATTERY if site.roots else CONTROLLER_BATTERY
    overdue = fault is Fault.BATTERY_OVERDUE
    life = BATTERIES[kind].life_days
    stated = int(rng.integers(3)) == 0
    row: dict[str, Any] = {
        "battery_type": kind,
        "battery_replaced_on": _replaced_on(life, overdue, stage, rng),
        "battery_life_days": life if stated else None,
    }
    if site.roots and site.prepaid:
        second_life = BATTERIES[CONTROLLER_BATTERY].life_days
        row["battery2_type"] = CONTROLLER_BATTERY
        row["battery2_replaced_on"] = _replaced_on(second_life, False, stage, rng)
    return row


def _replaced_on(life_days: int, overdue: bool, stage: Stage, rng: np.random.Generator) -> date:  # noqa: FBT001 (a plain fact of the row)
    if overdue:
        age = life_days + stage.span.days + int(rng.integers(3, 40))
    else:
        age = int(life_days * rng.uniform(0.05, 0.8))
    return stage.last_day - timedelta(days=age)


def _oil(qmax_m3h: float, fault: Fault, stage: Stage, rng: np.random.Generator) -> dict[str, Any]:
    """State the oil's two intervals so that neither ends within a healthy history.

    A history moves at most `HIGHEST_LOAD` of Qmax; a third of the interval holds it.
    """
    hours = max(_OIL_HOURS, stage.span.total_seconds() / 3600 * HIGHEST_LOAD * 3)
    interval_m3 = round(qmax_m3h * hours, -2)
    interval_days = max(365 * int(rng.integers(2, 6)), 40 * stage.span.days)
    used = rng.uniform(0.1, 0.6)
    if fault is Fault.OIL_OVERDUE_DAYS:
        age = interval_days + stage.span.days + int(rng.integers(3, 60))
    elif fault is Fault.OIL_DUE_SOON:
        age = interval_days - 1 - int(rng.integers(0, max(interval_days // 100, 1)))
    else:
        age = int(interval_days * used)
    return {
        "oil_filled_on": stage.last_day - timedelta(days=age),
        "oil_interval_days": interval_days,
        "oil_volume_at_fill": round(interval_m3 * float(rng.uniform(0.5, 2.0)), 0),
        "oil_interval_m3": interval_m3,
    }


def _prepayment(qmax_m3h: float, fault: Fault, rng: np.random.Generator) -> dict[str, Any]:
    """State the alarm balance: never less than two hours of the highest healthy load.

    So the balance cannot jump over the band between the alarm balance and nothing within one
    reporting interval.
    """
    # Where the register stands still, only a balance in m³ says what flows without knowing the price.
    unit = "CNY" if rng.integers(4) and fault is not Fault.REGISTER_STALLED_PAID else "m3"
    per_hour = qmax_m3h * HIGHEST_LOAD * (max(_PRICES_CNY_M3) if unit == "CNY" else 1.0)
    usual = DEFAULT_POLICY.low_balance[unit]
    needed = math.ceil(2 * per_hour / 50) * 50.0
    low = None if needed <= usual and rng.integers(2) else max(needed, usual)
    return {"balance_unit": unit, "low_balance": low}
