"""The workload's readings with all the other columns that a meter reports, for the whole fast battery."""

from __future__ import annotations

import numpy as np

from bench.analytics.workload import Workload
from fleet.meter_table import MeterTable
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from fleet.readings import ReadingBatch
from fleet.wire import VALVES

_US_PER_H = 3.6e9


def battery_of(workload: Workload, seed: int = 1) -> tuple[ReadingBatch, MeterTable]:
    """Make registers that follow the flow, ordinary pressures, voltages and balances, and a registry."""
    rng = np.random.default_rng(seed)
    n = len(workload.meter)
    volume_m3 = _register(workload)
    readings = ReadingBatch.build(
        meter_key=workload.meter,
        device_time_us=workload.time_us,
        seq=np.arange(n),
        boot=np.ones(n, dtype=np.int64),
        received_us=workload.time_us + 5_000_000,
        flow_m3h=workload.value,
        volume_m3=volume_m3,
        std_flow_m3h=workload.value * 1.05,
        std_volume_m3=np.floor(volume_m3 * 10.5) / 10,
        pressure_kpa=104 + rng.standard_normal(n, dtype=np.float32) / 10,
        temperature_c=20 + rng.standard_normal(n, dtype=np.float32) / 2,
        balance=10_000 - volume_m3 % 9_000,
        battery_v=np.full(n, 3.6),
        valve=np.full(n, VALVES.index("open"), dtype=np.int8),
        status_bits=np.zeros(n, dtype=np.int64),
    )
    rows = [_meter(number, float(qmax)) for number, qmax in enumerate(workload.high)]
    return readings, MeterTable.build(rows)


def _register(workload: Workload) -> np.ndarray:
    """Sum the flow up over each meter's time, to a tenth of a cubic metre."""
    hours = np.diff(workload.time_us, prepend=workload.time_us[:1]) / _US_PER_H
    first = np.flatnonzero(np.diff(workload.meter, prepend=-1))
    rise = np.clip(np.nan_to_num(workload.value), 0, workload.high[workload.meter]) * hours
    rise[first] = 0.0
    total = np.cumsum(rise)
    total -= np.repeat(total[first], np.diff(first, append=len(total)))
    return np.floor(total * 10) / 10 + 1_000


def _meter(number: int, qmax: float) -> Meter:
    return Meter(
        meter_id=f"m{number}",
        company="bench",
        customer="bench",
        customer_kind=CustomerKind.COMMERCIAL,
        reading_class=ReadingClass.DAILY,
        technology=Technology.ROOTS,
        qmax=qmax,
        qmin=qmax / 50,
        prepaid=True,
        balance_unit="m3",
        low_balance=50.0,
        interval_s=900,
        register_step=0.1,
        battery_type="lithium_3v6",
    )
