"""The engine: runs the checks on what arrived and on what the calendar says, level-triggered.

A cycle is one transaction: it claims work, reads, decides, writes and removes the work, so that a
crash anywhere repeats it as a whole. Several engines may run at once: work is claimed with
SKIP LOCKED, and two that meet at one meter both write its carried state, where the database lets
only one of them through and the other one tries again. An advisory lock keeps a second engine from
repeating the clock's run; it saves work, and nothing depends on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alerts.alarms.scope import Scope
from alerts.arrivals import Arrivals
from alerts.clock import DUE_CHECKS, due_now
from alerts.cycle import Cycle
from alerts.decisions import Decided, decide
from alerts.evaluation import Sizes
from alerts.failpoint import Failpoint, go_on
from alerts.inspections.planning import Planned, PlanStep, plan, plan_steps
from alerts.line import Line
from alerts.loop import Loop, Rhythm
from alerts.meter_cache import MeterCache
from alerts.pace import Pace
from alerts.pieces import Told
from alerts.rollups.upkeep import Upkeep, Upkept
from alerts.slow.daily import DailyPass, SlowStep
from alerts.work import EngineCycle, claim
from storage.database import Database
from storage.named_sql import load_queries

_SQL = load_queries("alerts")


@dataclass(frozen=True, slots=True, eq=False)
class ClockBlock:
    """Some meters of one time zone."""

    timezone: str
    meter_keys: NDArray[np.int32]


class Engine:
    """Checks, alarms and tasks over one database; every method takes the time as an argument."""

    def __init__(
        self,
        database: Database,
        *,
        rows_per_cycle: int = 32,
        readings_per_cycle: int = 200_000,
        meters_per_part: int = Sizes().meters,
        readings_per_block: int = Sizes().readings,
        meters_per_clock_block: int = 2_500,
        failpoint: Failpoint = go_on,
    ) -> None:
        """Make an engine.

        Parameters
        ----------
        database
            A migrated database.
        rows_per_cycle
            How much work one transaction takes at most; a row is what ingest committed at once.
        readings_per_cycle
            How large a cycle may become, about, while there is more work than that.
        meters_per_part, readings_per_block, meters_per_clock_block
            What is held in memory at once, give or take one meter.
        failpoint
            Called with each of `STEPS`; a test raises there.
        """
        self._database = database
        self._pace = Pace(rows_per_cycle, readings_per_cycle)
        self._sizes = Sizes(meters_per_part, readings_per_block)
        self._line = Line()
        self._meters_per_clock_block = meters_per_clock_block
        self._failpoint = failpoint
        self._cache = MeterCache()
        self._upkeep = Upkeep(database, self._cache)
        self._daily = DailyPass(database, self._cache)

    def run_once(self, now: datetime) -> EngineCycle:
        """Do the oldest work there is, in one transaction.

        Raises SerializationError, UniqueViolationError or StaleDecisionError where another engine
        or a person was faster: nothing was written, and the same work can be tried again.
        """
        try:
            cycle = self._run_cycle(now)
        except BaseException:
            self._pace.failed()
            raise
        self._pace.done(cycle.claimed, cycle.readings)
        return cycle

    def run_clock(self, now: datetime) -> Decided:
        """Look at what only the clock can tell: silence, and services that are due.

        Gives what changed; nothing where another engine is at it. Raises as `run_once` does.
        """
        total = Decided()
        for block in self.clock_blocks():
            total += self.run_clock_block(block, now)
        return total

    def clock_blocks(self) -> list[ClockBlock]:
        """List what the clock has to look at, in blocks of which each is one transaction."""
        with self._database.transaction() as transaction:
            zones = transaction.rows(_SQL["meters_by_timezone"])
        size = self._meters_per_clock_block
        return [
            ClockBlock(zone["timezone"], np.array(zone["meter_keys"][start : start + size], dtype=np.int32))
            for zone in zones
            for start in range(0, len(zone["meter_keys"]), size)
        ]

    def run_clock_block(self, block: ClockBlock, now: datetime) -> Decided:
        """Look at one block; so that new readings need not wait for the whole fleet."""
        with self._database.transaction(repeatable_read=True) as transaction:
            row = transaction.row(_SQL["clock_lock"])
            if row is None or not row["taken"]:
                return Decided()
            meters = self._cache.table(transaction, block.meter_keys, now)
            episodes = due_now(transaction, meters, block.timezone, now)
            scope = Scope(frozenset(meters.meter_key.tolist()), DUE_CHECKS)
            told = Told(episodes, Arrivals.unknown(len(episodes)))
            return decide(transaction, told, DUE_CHECKS, scope, now)

    def run_rollups(self) -> Upkept:
        """Bring the oldest touched roll-ups up to date, in one transaction. Raises as `run_once` does."""
        return self._upkeep.run_once()

    def run_slow(self, now: datetime) -> SlowStep:
        """Judge some of the days that are over, in one transaction. Raises as `run_once` does."""
        return self._daily.run_once(now)

    def plan(self, today: date, now: datetime, timezone: str | None = None) -> Planned:
        """Write the obligations of the periods running today, and their tasks."""
        with self._database.transaction() as transaction:
            steps = plan_steps(transaction, today, timezone)
        return self._plan(steps, now)

    def plan_everywhere(self, now: datetime) -> Planned:
        """Plan for each company's own today."""
        return self._plan(self.plan_steps(now), now)

    def plan_steps(self, now: datetime) -> list[PlanStep]:
        """List what planning for each company's own today has to do, in steps of one transaction each."""
        with self._database.transaction() as transaction:
            zones = [row["timezone"] for row in transaction.rows(_SQL["timezones"])]
            return [
                step
                for zone in zones
                for step in plan_steps(transaction, now.astimezone(ZoneInfo(zone)).date(), zone)
            ]

    def run_plan_step(self, step: PlanStep, now: datetime) -> Planned:
        """Do one step, so that new readings need not wait for the whole registry."""
        with self._database.transaction() as transaction:
            return plan(transaction, step, now)

    def _plan(self, steps: list[PlanStep], now: datetime) -> Planned:
        return sum((self.run_plan_step(step, now) for step in steps), Planned())

    def run_forever(
        self, stop: threading.Event, clock: Callable[[], datetime], rhythm: Rhythm | None = None
    ) -> None:
        """Run until told to stop; the loop is the one place that reads a clock."""
        Loop(self, self._database, rhythm).run(stop, clock)

    def _run_cycle(self, now: datetime) -> EngineCycle:
        with self._database.transaction(repeatable_read=True) as transaction:
            claimed = claim(transaction, self._pace.rows)
            if claimed is None:
                return EngineCycle()
            self._failpoint("claimed")
            meters = self._cache.table(transaction, claimed.meter_keys, now)
            with self._line.orders() as orders:
                return Cycle(transaction, orders, claimed, now, self._failpoint).run(meters, self._sizes)
