"""What a simulated meter is made of, beyond what the registry knows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from firmware_sim.faults import Fault


@dataclass(slots=True, kw_only=True)
class Device:
    """One simulated meter; NaN where it has no such part."""

    interval_us: int
    #: Offset of its samples within the interval, so that not all meters speak at once.
    phase_us: int
    #: Place in `load.PROFILES`.
    profile: int
    on_off: bool
    qmin_m3h: float
    qmax_m3h: float
    #: Share of Qmax that the customer's appliances burn at most.
    peak: float
    register_step_m3: float
    register_start_m3: float
    has_corrector: bool = False
    pressure_kpa: float = np.nan
    temperature_c: float = np.nan
    prepaid: bool = False
    #: In the balance's unit for a cubic metre.
    price: float = np.nan
    low_balance: float = np.nan
    #: The customer tops up by so much as soon as the balance would fall to the floor.
    top_up: float = np.nan
    top_up_floor: float = np.nan
    balance_start: float = np.nan
    #: The balance stands at this value when the fault begins, NaN where it need not.
    balance_at_fault: float = np.nan
    battery_v: float = np.nan
    battery_v_per_day: float = 0.0
    battery_fresh_v: float = np.nan
    battery_warn_v: float = np.nan
    battery_at_fault_v: float = np.nan
    battery2_v: float = np.nan
    fault: int = int(Fault.NONE)
    fault_start_us: int = 0
    fault_end_us: int = 0
    strength: float = np.nan
    #: Status bits that the meter reports while the fault lasts.
    status_at_fault: int = 0
    #: The voltage falls to `battery_at_fault_v` within this time from the fault's beginning.
    battery_falls_in_us: int = 1
    #: What the register of the meter that takes this one's place begins with.
    exchanged_start_m3: float = np.nan
    #: Burns more in winter.
    seasonal: bool = False
    #: See `mix.Disturbances`.
    idle_start_us: int = 0
    idle_end_us: int = 0
    idle_use: float = 0.0
    late_share: float = 0.0
    outage_share: float = 0.0
    loss_share: float = 0.0
    pilot_qmax: float = 0.0
    pilot_lit_us: int = 0
    battery_renewed_us: int = 0
    clock_ahead_s: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DeviceTable:
    """m devices as columns, each of shape (m,), under the names of `Device`."""

    columns: dict[str, NDArray[Any]]
    #: The meter's number in the whole population; noise depends on it.
    number: NDArray[np.int64]

    @classmethod
    def build(cls, devices: list[Device]) -> Self:
        """Turn devices into columns."""
        columns = {f.name: np.array([getattr(d, f.name) for d in devices]) for f in fields(Device)}
        return cls(columns, np.arange(len(devices), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.number)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def take(self, rows: slice) -> Self:
        """Select devices."""
        return type(self)({name: column[rows] for name, column in self.columns.items()}, self.number[rows])
