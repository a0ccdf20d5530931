"""Upkeep of the roll-ups: recomputes the touched hours from the readings, and their days from the hours.

A step is one transaction: it claims work, reads, writes and removes the work, so that a crash
repeats it as a whole and doubles nothing. Several upkeeps may run at once: work is claimed with SKIP
LOCKED, and two that meet at one meter both write its row of `rollup_meter`, where the database
lets only one of them through and the other one tries again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alerts.failpoint import Failpoint, go_on
from alerts.meter_cache import MeterCache
from alerts.rollups.pairs import Pairs
from alerts.rollups.store import DAYS, HOURS, read_readings, read_rollups, write_rollups
from alerts.rollups.work import RollupClaim, claim, finish
from analytics.block import US_PER_DAY
from analytics.rollups.hours import first_use_us, hour_rollups
from analytics.rollups.merge import day_rollups
from analytics.rollups.periods import Granularity, local_days
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch
from fleet.times import to_datetime
from storage.database import Database, Transaction
from storage.named_sql import load_queries
from storage.partitions import MonthPartition, ensure_months, months

_SQL = load_queries("alerts.rollups")

#: Steps at which a test may let an upkeep fail, in their order.
STEPS = ("claimed", "meters_written", "hours_written", "days_written", "work_removed")

#: After every time, and exact in the database's arithmetic.
_NEVER_US = 1 << 52


@dataclass(frozen=True, slots=True)
class Upkept:
    """What one step did."""

    #: Rows of work that were taken; 0 where there was nothing to do.
    claimed: int = 0
    hours: int = 0
    days: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Zone:
    """The meters of a claim that live in one time zone, and their touched local hours."""

    zone: ZoneInfo
    meters: MeterTable
    hours: Pairs


class Upkeep:
    """Keeps `reading_hour` and `reading_day` equal to what the readings say."""

    def __init__(
        self,
        database: Database,
        cache: MeterCache | None = None,
        *,
        pairs_per_step: int = 500,
        rows_per_step: int = 256,
        failpoint: Failpoint = go_on,
    ) -> None:
        """Make an upkeep.

        Parameters
        ----------
        database
            A migrated database.
        cache
            The registry's limits; None for a cache of its own.
        pairs_per_step, rows_per_step
            How much work one transaction takes at most, give or take a row: pairs of meter and
            hour, and rows as the engine left them.
        failpoint
            Called with each of `STEPS`; a test raises there.
        """
        self._database = database
        self._pairs_per_step = pairs_per_step
        self._rows_per_step = rows_per_step
        self._failpoint = failpoint
        self._cache = cache or MeterCache()
        self._months: set[MonthPartition] = set()

    def run_once(self) -> Upkept:
        """Do the oldest work there is, in one transaction.

        Raises SerializationError where another upkeep was faster: nothing was written, and the
        same work can be tried again.
        """
        while True:
            with self._database.transaction(repeatable_read=True) as transaction:
                claimed = claim(transaction, self._pairs_per_step, self._rows_per_step)
                if claimed is None:
                    return Upkept()
                self._failpoint("claimed")
                zones = list(self._zones(transaction, claimed))
                missing = self._missing(zones)
                if not missing:
                    return self._step(transaction, claimed, zones)
            # Making a partition locks its table, so that comes first and by itself.
            with self._database.transaction() as transaction:
                ensure_months(transaction, sorted(missing, key=lambda month: month.start))
            self._months |= missing

    def _zones(self, transaction: Transaction, claimed: RollupClaim) -> Iterator[_Zone]:
        for row in transaction.rows(_SQL["rollup_zones"], {"meter_keys": np.unique(claimed.meter_keys)}):
            zone, keys = ZoneInfo(row["timezone"]), np.array(row["meter_keys"], dtype=np.int32)
            mine = np.isin(claimed.meter_keys, keys)
            hours = Pairs.local_hours(claimed.meter_keys[mine], claimed.hours_us[mine], zone)
            yield _Zone(zone, self._cache.table(transaction, keys), hours)

    def _missing(self, zones: list[_Zone]) -> set[MonthPartition]:
        """List the months of hours whose partitions were not looked at yet."""
        days = {day for each in zones for day in np.unique(each.hours.begin_us // US_PER_DAY).tolist()}
        dates = [to_datetime(day * US_PER_DAY).date() for day in sorted(days)]
        return {month for date in dates for month in months(date, date, HOURS)} - self._months

    def _step(self, transaction: Transaction, claimed: RollupClaim, zones: list[_Zone]) -> Upkept:
        hours = days = 0
        for each in zones:
            written = self._zone(transaction, each)
            hours, days = hours + written[0], days + written[1]
        finish(transaction, claimed)
        self._failpoint("work_removed")
        return Upkept(len(claimed.ids), hours, days)

    def _zone(self, transaction: Transaction, each: _Zone) -> tuple[int, int]:
        zone, meters = each.zone, each.meters
        readings = _readings(transaction, each.hours, zone)
        stored_us, found_us = _stored_use(transaction, meters), _found_use(meters, readings)
        since_us = np.minimum(stored_us, found_us)
        touched, more = _judged_anew(transaction, each, stored_us, since_us)
        # First of all writing: where two upkeeps meet, the later one finds out before it did more.
        _write_meters(transaction, meters, since_us, _first_days(touched, meters, zone))
        self._failpoint("meters_written")
        if len(more):
            readings = ReadingBatch.concatenate([readings, _readings(transaction, more, zone)])
        # What lies in the hours at hand is found there again, and counts only from then on.
        before_us = np.where(stored_us < found_us, stored_us, ABSENT)
        rows = hour_rollups(readings, meters, zone, used_since_us=before_us)
        hours = write_rollups(transaction, HOURS, rows)
        self._failpoint("hours_written")
        stretches = touched.days(zone).stretches(zone, Granularity.DAY)
        whole = read_rollups(transaction, HOURS, stretches.meter_keys, stretches.from_us, stretches.to_us)
        days = write_rollups(transaction, DAYS, day_rollups(whole, meters, zone))
        self._failpoint("days_written")
        return hours, days


def _readings(transaction: Transaction, hours: Pairs, zone: ZoneInfo) -> ReadingBatch:
    stretches = hours.stretches(zone, Granularity.HOUR)
    return read_readings(transaction, stretches.meter_keys, stretches.from_us, stretches.to_us)


def _stored_use(transaction: Transaction, meters: MeterTable) -> NDArray[np.int64]:
    row = transaction.row(_SQL["rollup_meters"], {"meter_keys": meters.meter_key}) or {}
    since_us = np.full(len(meters), _NEVER_US)
    keys = np.array(row.get("meter_keys") or [], dtype=np.int32)
    since_us[meters.rows_of(keys)] = row.get("used_since_us") or []
    return since_us


def _found_use(meters: MeterTable, readings: ReadingBatch) -> NDArray[np.int64]:
    keys, found_us = first_use_us(readings)
    since_us = np.full(len(meters), _NEVER_US)
    since_us[meters.rows_of(keys)] = found_us
    return since_us


def _first_days(touched: Pairs, meters: MeterTable, zone: ZoneInfo) -> NDArray[np.int64]:
    """Give the first touched local day of each meter, days since 1970-01-01."""
    first = touched.begin_us[np.searchsorted(touched.meter_keys, meters.meter_key)]
    return local_days(first, zone).number


def _write_meters(
    transaction: Transaction, meters: MeterTable, since_us: NDArray[np.int64], days: NDArray[np.int64]
) -> None:
    """Write since when meters are used, and what the slow checks must judge again."""
    used_since_us = np.where(since_us == _NEVER_US, ABSENT, since_us)
    rows = {"meter_keys": meters.meter_key, "used_since_us": used_since_us, "absent": ABSENT, "days": days}
    transaction.execute(_SQL["rollup_meters_write"], rows)


def _judged_anew(
    transaction: Transaction, each: _Zone, stored_us: NDArray[np.int64], since_us: NDArray[np.int64]
) -> tuple[Pairs, Pairs]:
    """Find hours that a late first use touches, too: frames of zeros after it were blanked.

    Gives all touched hours, and those of them that were not known to be.
    """
    lowered = np.flatnonzero(since_us < stored_us)
    if len(lowered) == 0:
        return each.hours, each.hours.take(lowered)
    wanted = {
        "meter_keys": each.meters.meter_key[lowered],
        "after_us": since_us[lowered],
        "through_us": stored_us[lowered],
    }
    row = transaction.row(_SQL["rollup_hours_between"], wanted) or {}
    keys = np.array(row.get("meter_keys") or [], dtype=np.int32)
    found = Pairs.of(keys, np.array(row.get("begin_us") or [], dtype=np.int64))
    known = set(zip(each.hours.meter_keys.tolist(), each.hours.begin_us.tolist(), strict=True))
    pairs = zip(found.meter_keys.tolist(), found.begin_us.tolist(), strict=True)
    fresh = np.array([pair not in known for pair in pairs], dtype=np.bool_)
    more = found.take(np.flatnonzero(fresh))
    return each.hours.joined(more.meter_keys, more.begin_us), more
