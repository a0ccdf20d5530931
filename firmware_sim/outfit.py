"""The device of a registered meter: what it starts with, and what its fault does to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from firmware_sim.device import Device
from firmware_sim.faults import Fault, InjectedFault, Stage
from firmware_sim.load import ON_OFF, PROFILES, mean_utilisation
from firmware_sim.mix import Disturbances
from firmware_sim.registration import Site, price_of, register_step_m3
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.policy import BATTERIES
from fleet.wire import status_bits

#: A healthy customer tops up at twice the alarm balance, a late payer at a fifth of it.
_HEALTHY_FLOOR = 2.0
_LATE_FLOOR = 0.2
#: Voltage of a fresh battery and of one at the end of its life, still well above its limit.
_VOLTS = {"alkaline_6v": (6.25, 5.45), "lithium_3v6": (3.66, 3.56)}
#: Where the voltage falls by a fault of strength 0 and 1: it stays above the critical voltage, at
#: which an alkaline pack's controller would close the valve.
_LOW_VOLTS = {"alkaline_6v": (4.6, 4.8), "lithium_3v6": (3.13, 3.25)}
_BATTERY_FALLS_IN_US = 6 * 3_600_000_000
_US_PER_DAY = 86_400_000_000
#: A healthy customer tops up while the balance lasts so many days yet.
_HEALTHY_DAYS = 15.0
#: Mean of what the days and the hours make of the profile.
_MEAN_DEMAND = 0.875
_MODEST_PEAK = 0.25
#: What the balance lasts for when nobody pays any more, days.
_WEEK_DAYS = 7.0
_STATUS = ("tamper_magnetic", "case_open", "reverse_flow", "sensor_fault")


@dataclass(frozen=True, slots=True)
class _Limits:
    qmin_m3h: float
    qmax_m3h: float
    low_balance: float


def outfit(
    site: Site,
    meter: Meter,
    fault: InjectedFault | None,
    stage: Stage,
    rng: np.random.Generator,
    disturbances: Disturbances | None = None,
) -> Device:
    """Build the device behind a registry row; `disturbances` where the fleet's mix has any."""
    table = MeterTable.build([meter])
    limits = _Limits(float(table.qmin_m3h[0]), float(table.qmax_m3h[0]), float(table.low_balance[0]))
    device = Device(
        interval_us=site.interval_s * 1_000_000,
        phase_us=int(rng.integers(site.interval_s)) * 1_000_000,
        profile=PROFILES.index(site.profile),
        on_off=site.profile in ON_OFF,
        qmin_m3h=limits.qmin_m3h,
        qmax_m3h=limits.qmax_m3h,
        peak=float(rng.uniform(0.45, 0.75)),
        register_step_m3=register_step_m3(site.roots, limits.qmax_m3h),
        register_start_m3=_register_start(meter, fault, rng),
        has_corrector=site.roots,
        prepaid=site.prepaid,
        seasonal=disturbances is not None,
        **(asdict(disturbances) if disturbances else {}),
    )
    if site.roots:
        device.pressure_kpa = float(rng.uniform(103.0, 300.0))
        device.temperature_c = float(rng.uniform(8.0, 24.0))
    if site.prepaid:
        _prepay(device, meter, limits, rng)
    _power(device, meter, stage, rng)
    if fault is not None:
        _break(device, meter, fault)
    return device


def _register_start(meter: Meter, fault: InjectedFault | None, rng: np.random.Generator) -> float:
    overdue = fault is not None and fault.fault is Fault.OIL_OVERDUE_VOLUME
    share = rng.uniform(1.02, 1.2) if overdue else rng.uniform(0.1, 0.6)
    if meter.oil_volume_at_fill is None or meter.oil_interval_m3 is None:
        return round(float(rng.uniform(1e3, 1e5)), 1)
    return float(round(meter.oil_volume_at_fill + share * meter.oil_interval_m3))


def _prepay(device: Device, meter: Meter, limits: _Limits, rng: np.random.Generator) -> None:
    device.price = price_of(meter)
    device.low_balance = limits.low_balance
    device.top_up = round(limits.low_balance * float(rng.uniform(4.0, 9.0)), -1)
    lasting = _HEALTHY_DAYS * _spent_per_day(device)
    device.top_up_floor = round(max(_HEALTHY_FLOOR * limits.low_balance, lasting), 2)
    device.balance_start = device.top_up_floor + round(device.top_up * float(rng.uniform(0.1, 1.0)), 2)


def _spent_per_day(device: Device) -> float:
    share = mean_utilisation(device.profile) * _MEAN_DEMAND
    return 24.0 * share * device.peak * device.qmax_m3h * device.price


def _power(device: Device, meter: Meter, stage: Stage, rng: np.random.Generator) -> None:
    kind = meter.battery_type or ""
    fresh, worn = _VOLTS[kind]
    life = BATTERIES[kind].life_days
    replaced_on = meter.battery_replaced_on or stage.last_day
    age_days = min((stage.last_day - replaced_on).days, life)
    device.battery_v = fresh - (fresh - worn) * age_days / life
    device.battery_v_per_day = 0.1 * (fresh - worn) / life
    device.battery_fresh_v = fresh
    device.battery_warn_v = BATTERIES[kind].warn_v
    if meter.battery2_type:
        device.battery2_v = float(rng.uniform(5.6, 6.2))


def _break(device: Device, meter: Meter, fault: InjectedFault) -> None:
    device.fault = int(fault.fault)
    device.fault_start_us = round(fault.starts_at.timestamp() * 1e6)
    device.fault_end_us = round(fault.ends_at.timestamp() * 1e6)
    device.strength = fault.strength
    if fault.fault in (Fault.OVERSIZED, Fault.UNDERSIZED):
        device.peak = fault.strength
    elif fault.fault is Fault.USAGE_UP:
        # Room for the increase within the rated range.
        device.peak = _MODEST_PEAK
    elif fault.fault in (Fault.METER_EXCHANGED, Fault.METER_EXCHANGED_UNTOLD):
        device.exchanged_start_m3 = 0.0
    _break_power(device, meter, fault)
    _break_purse(device, fault)


def _break_power(device: Device, meter: Meter, fault: InjectedFault) -> None:
    kind = meter.battery_type or ""
    if fault.fault is Fault.BATTERY_LOW:
        low, high = _LOW_VOLTS[kind]
        device.battery_at_fault_v = low + (high - low) * fault.strength
        device.battery_falls_in_us = _BATTERY_FALLS_IN_US
    elif fault.fault is Fault.BATTERY_CRITICAL:
        device.battery_at_fault_v = BATTERIES[kind].critical_v - fault.strength
        device.battery_falls_in_us = _BATTERY_FALLS_IN_US
    elif fault.fault is Fault.BATTERY_DECAY:
        device.battery_at_fault_v = device.battery_warn_v
        left_us = round(fault.strength * _US_PER_DAY)
        device.battery_falls_in_us = device.fault_end_us - device.fault_start_us + left_us
    elif fault.fault is Fault.STATUS:
        code = _STATUS[device.fault_start_us // _US_PER_DAY % len(_STATUS)]
        device.status_at_fault = status_bits([code])
    elif fault.fault is Fault.LOW_OIL:
        device.status_at_fault = status_bits(["low_oil"])


def _break_purse(device: Device, fault: InjectedFault) -> None:
    if fault.fault is Fault.BALANCE_LOW:
        device.top_up_floor = _LATE_FLOOR * device.low_balance
        device.balance_at_fault = device.low_balance
    elif fault.fault in (Fault.BALANCE_EXHAUSTED, Fault.FLOW_NO_BALANCE):
        device.balance_at_fault = 0.0
    elif fault.fault is Fault.DAYS_TO_ZERO:
        device.balance_at_fault = round(_WEEK_DAYS * _spent_per_day(device), 2)
