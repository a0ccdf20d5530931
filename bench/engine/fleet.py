"""A registered fleet whose meters all have carried state, and readings as ingest would commit them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alerts.engine import Engine
from bench.parts import hotel_meter
from fleet.readings import ReadingBatch
from fleet.times import to_us
from ingest.dirty_work import leave_dirty_work
from storage.database import Database
from storage.readings import write_readings
from storage.registry import upsert_meters

QMAX_M3H = 160.0
_US_PER_S = 1_000_000
#: Of a hundred meters, so many have a battery below its warning limit, and an alarm that goes on.
_LOW_BATTERIES = 5
#: One reading of so many is above Qmax, which raises, clears or reactivates an alarm.
_OVER_RANGE = 200


@dataclass(frozen=True, slots=True)
class Fleet:
    """Meters by number, and the moment at which their readings begin."""

    database: Database
    #: One that has seen every meter, as one that runs for a while has.
    engine: Engine
    meter_keys: NDArray[np.int32]
    start: datetime

    def at(self, start: datetime) -> Fleet:
        """Give the same meters with readings that begin at another moment."""
        return replace(self, start=start)

    def commit(self, readings: ReadingBatch, now: datetime) -> None:
        """Write readings and word of them, as one ingest transaction does."""
        with self.database.transaction() as transaction:
            written = write_readings(transaction, readings)
            leave_dirty_work(transaction, written, now)

    def readings(
        self, meters: NDArray[np.intp], turn: int, at_us: NDArray[np.int64], *, calm: bool = True
    ) -> ReadingBatch:
        """Give one reading of each of some meters; `turn` counts each meter's readings."""
        n = len(meters)
        chance = np.random.default_rng([turn, int(meters[0])])
        flow = chance.uniform(20.0, 120.0, n)
        if not calm:
            flow[chance.integers(0, _OVER_RANGE, n) == 0] = QMAX_M3H * 1.1
        low = meters % 100 < _LOW_BATTERIES
        return ReadingBatch.build(
            meter_key=self.meter_keys[meters],
            device_time_us=at_us,
            received_us=at_us,
            seq=np.full(n, turn),
            flow_m3h=flow,
            volume_m3=1000.0 + 0.1 * turn + meters,
            std_volume_m3=1100.0 + 0.11 * turn + meters,
            pressure_kpa=np.full(n, 104.0),
            temperature_c=np.full(n, 18.0),
            battery_v=np.where(low, 3.0, 3.6),
        )

    def spread_us(self, count: int, second: int) -> NDArray[np.int64]:
        """Spread moments over one second of the fleet's time."""
        begin = to_us(self.start + timedelta(seconds=second))
        return begin + np.arange(count, dtype=np.int64) * _US_PER_S // max(count, 1)


def build_fleet(database: Database, count: int, start: datetime) -> Fleet:
    """Register meters, and let the engine evaluate a first reading of each."""
    with database.transaction() as transaction:
        upsert_meters(
            transaction,
            [hotel_meter("bench", f"meter{number:06d}", interval_s=3600) for number in range(count)],
        )
        rows = transaction.rows("SELECT meter_key FROM meter ORDER BY meter_key")
    engine = Engine(database)
    fleet = Fleet(database, engine, np.array([row["meter_key"] for row in rows], dtype=np.int32), start)
    before = start - timedelta(minutes=1)
    for part in np.array_split(np.arange(count), max(count // 5000, 1)):
        fleet.commit(fleet.readings(part, 0, np.full(len(part), to_us(before))), before)
    while engine.run_once(before).claimed:
        pass
    return fleet
