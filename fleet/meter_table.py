"""A fleet of meters as columns, with every limit resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fleet.limits import LIMITS, resolve
from fleet.meters import OILED, Meter
from fleet.policies import DEFAULT_POLICIES, Origin, Policies, ResolvedPolicy
from fleet.policy import Policy
from fleet.times import DEFAULT_ZONE, to_us

#: An instant that never comes.
NEVER_US = 2**62

#: The same for all meters, or one of shape (m,).
Limit = NDArray[np.float64] | float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterTable:
    """m meters as arrays of shape (m,), sorted by `meter_key`; NaN where there is no limit."""

    meter_key: NDArray[np.int32]
    prepaid: NDArray[np.bool_]
    #: Whether the meter has bearings to oil.
    oiled: NDArray[np.bool_]
    qmax_m3h: NDArray[np.float64]
    qmin_m3h: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    #: The register rolls over at this value.
    register_top_m3: NDArray[np.float64]
    register_step_m3: NDArray[np.float64]
    #: Days since 1970 in the company's calendar; NaN where unknown, likewise below.
    installed_day: NDArray[np.float64]
    #: int64, the local midnight that began that day; NEVER_US where it is unknown.
    installed_us: NDArray[np.int64]
    low_balance: NDArray[np.float64]
    #: What a cubic metre takes from the balance at most, in the balance's unit.
    price_per_m3: NDArray[np.float64]
    #: Whether that is gas, and not money.
    balance_in_gas: NDArray[np.bool_]
    battery_warn_v: NDArray[np.float64]
    battery_critical_v: NDArray[np.float64]
    battery_due_day: NDArray[np.float64]
    battery2_warn_v: NDArray[np.float64]
    battery2_critical_v: NDArray[np.float64]
    battery2_due_day: NDArray[np.float64]
    oil_filled_day: NDArray[np.float64]
    #: int64, the local midnight that ended that day; -NEVER_US where it is unknown.
    oil_filled_us: NDArray[np.int64]
    oil_interval_days: NDArray[np.float64]
    oil_volume_at_fill_m3: NDArray[np.float64]
    oil_interval_m3: NDArray[np.float64]
    #: Shape (m, len(LIMITS)): where each of the columns above comes from, as `Origin`.
    origins: NDArray[np.uint8]
    #: Position of each meter's policy in `policies`, which all meters of a fleet share.
    policy_row: NDArray[np.int32]
    policies: tuple[ResolvedPolicy, ...]

    @classmethod
    def build(
        cls,
        meters: Sequence[Meter],
        keys: Sequence[int] | None = None,
        policies: Policies = DEFAULT_POLICIES,
        zones: str | Sequence[str] = DEFAULT_ZONE,
    ) -> Self:
        """Resolve every limit: the meter's own, then its model's, its company's, the default.

        `keys` are the meters' numbers; without them the position is the number. `zones` names the time
        zone of each meter's company, or of all.
        """
        places = [zones] * len(meters) if isinstance(zones, str) else zones
        numbers = np.arange(len(meters)) if keys is None else np.asarray(keys)
        order = np.argsort(numbers, kind="stable")
        mine = [meters[at] for at in order]
        resolved = [policies.of(m.meter_id, m.company, m.technology, m.g_size) for m in mine]
        known = {id(policy): policy for policy in resolved}
        row_of = {key: row for row, key in enumerate(known)}
        limits = [resolve(meter, policy) for meter, policy in zip(mine, resolved, strict=True)]
        columns: dict[str, NDArray[Any]] = {
            name: np.array([each_[name].value for each_ in limits], dtype=np.float64) for name in LIMITS
        }
        origins = [[each_[name].origin for name in LIMITS] for each_ in limits]
        return cls(
            meter_key=numbers[order].astype(np.int32),
            prepaid=np.array([meter.prepaid for meter in mine], dtype=np.bool_),
            balance_in_gas=np.array([meter.balance_unit == "m3" for meter in mine], dtype=np.bool_),
            oiled=np.array([meter.technology in OILED for meter in mine], dtype=np.bool_),
            installed_us=np.array(
                [_midnight_us(meters[at].installed_on, places[at]) or NEVER_US for at in order],
                dtype=np.int64,
            ),
            oil_filled_us=np.array([_filled_us(meters[at], places[at]) for at in order], dtype=np.int64),
            origins=np.array(origins, dtype=np.uint8).reshape(len(mine), len(LIMITS)),
            policy_row=np.array([row_of[id(policy)] for policy in resolved], dtype=np.int32),
            policies=tuple(known.values()),
            **columns,
        )

    def __len__(self) -> int:
        return len(self.meter_key)

    def take(self, rows: NDArray[Any] | slice) -> Self:
        """Select meters by a mask, by ascending positions or by a slice."""
        names = [name for name in self.__dataclass_fields__ if name != "policies"]
        return type(self)(policies=self.policies, **{name: getattr(self, name)[rows] for name in names})

    def joined(self, other: MeterTable) -> MeterTable:
        """Put other meters beside these; none may be in both."""
        names = [name for name in self.__dataclass_fields__ if name not in ("policies", "policy_row")]
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        policies = tuple({id(policy): policy for policy in (*self.policies, *other.policies)}.values())
        row_of = {id(policy): row for row, policy in enumerate(policies)}
        rows = [
            np.array([row_of[id(p)] for p in table.policies], dtype=np.int32)[table.policy_row]
            for table in (self, other)
            if len(table)
        ]
        policy_row = np.concatenate([np.empty(0, np.int32), *rows])
        whole = MeterTable(policy_row=policy_row, policies=policies, **columns)
        return whole.take(np.argsort(whole.meter_key, kind="stable"))

    def rows_of(self, meter_key: NDArray[np.int32]) -> NDArray[np.intp]:
        """Find the row of each meter number; every number must be in the table."""
        return np.searchsorted(self.meter_key, meter_key)

    def limit(self, of: Callable[[Policy], float]) -> Limit:
        """Look something up in each meter's policy: one number where all meters share it, else shape (m,)."""
        values = [of(resolved.policy) for resolved in self.policies]
        if not values:
            return np.nan
        if all(value == values[0] for value in values):
            return values[0]
        return np.array(values)[self.policy_row]

    def origin_of(self, *names: str) -> NDArray[np.uint8]:
        """Tell where each meter's limit of this name comes from, as `Origin`, shape (m,).

        A limit that is made of several comes from where the nearest of them does. A name is one of
        `LIMITS` or a field of `Policy`; a KeyError where it is neither.
        """
        origins = [self._origin_of(name) for name in names]
        return origins[0] if len(origins) == 1 else nearest(*origins)

    def _origin_of(self, name: str) -> NDArray[np.uint8]:
        if name in LIMITS:
            column: NDArray[np.uint8] = self.origins[:, LIMITS.index(name)]
            return column
        if name not in Policy.__dataclass_fields__:
            raise KeyError(name)
        by_policy = [resolved.origin.get(name, Origin.DEFAULT) for resolved in self.policies]
        return np.array(by_policy, dtype=np.uint8)[self.policy_row]


def nearest(*origins: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Choose, element by element, the origin that is nearest to the meter; NONE only where all are."""
    # Counted down from the number before NONE, it becomes the farthest of all.
    nearest_one: NDArray[np.uint8] = np.min([origin - np.uint8(1) for origin in origins], axis=0)
    return nearest_one + np.uint8(1)


def _midnight_us(day: date | None, zone: str, days: int = 0) -> int | None:
    """Give the instant at which the day so many days after another one began in a zone."""
    if day is None:
        return None
    return to_us(datetime.combine(day + timedelta(days=days), time(), ZoneInfo(zone)))


def _filled_us(meter: Meter, zone: str) -> int:
    filled_us = _midnight_us(meter.oil_filled_on or meter.installed_on, zone, 1)
    return -NEVER_US if filled_us is None else filled_us


def each(limit: Limit, row: NDArray[np.intp]) -> Limit:
    """Spread a limit over samples: `row` is the row of each sample's meter."""
    return limit[row] if isinstance(limit, np.ndarray) else limit
