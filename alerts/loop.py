"""The engine's loop: when to run what, what to do when the database says no, and the heartbeat."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from alerts.decisions import Decided
from alerts.exceptions import StaleDecisionError
from alerts.inspections.planning import Planned
from alerts.rollups.upkeep import Upkept
from alerts.rollups.work import waiting as rollups_waiting
from alerts.slow.daily import SlowStep
from alerts.slow.due import slow_waiting
from alerts.work import EngineCycle
from storage.database import Database
from storage.exceptions import SerializationError, StorageError, UniqueViolationError
from storage.named_sql import load_queries

_SQL = load_queries("alerts")
_LOG = logging.getLogger(__name__)

#: Somebody else was faster; nothing was written, and the same work can be tried again.
CONFLICTS = (SerializationError, UniqueViolationError, StaleDecisionError)

_CONFLICT_WAIT_S = 0.05
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0


class Runs(Protocol):
    """What the loop needs of an engine."""

    def run_once(self, now: datetime) -> EngineCycle:
        """Do the oldest work there is."""

    def clock_blocks(self) -> Sequence[Any]:
        """List what the clock has to look at."""

    def run_clock_block(self, block: Any, now: datetime) -> Decided:
        """Look at one block of what only the clock can tell."""

    def run_rollups(self) -> Upkept:
        """Bring the oldest touched roll-ups up to date."""

    def run_slow(self, now: datetime) -> SlowStep:
        """Judge some of the days that are over."""

    def plan_steps(self, now: datetime) -> Sequence[Any]:
        """List what the planning has to do."""

    def run_plan_step(self, step: Any, now: datetime) -> Planned:
        """Write obligations of some customers, and their tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often what happens."""

    idle_wait_s: float = 0.2
    clock_every_s: float = 10.0
    heartbeat_every_s: float = 3.0
    #: Once there is no more to roll up, the work of that long is done together.
    rollups_every_s: float = 30.0
    #: Once no day waits to be judged, it is so long until the next look.
    slow_every_s: float = 60.0


@dataclass(slots=True)
class Figures:
    """Counts since the start, for the heartbeat."""

    cycles: int = 0
    claimed: int = 0
    meters: int = 0
    reevaluated: int = 0
    readings: int = 0
    alarms_opened: int = 0
    alarms_cleared: int = 0
    alarms_reactivated: int = 0
    alarms_escalated: int = 0
    tasks_created: int = 0
    obligations: int = 0
    conflicts: int = 0
    #: Rows of roll-ups that are new or changed.
    rollup_hours: int = 0
    rollup_days: int = 0
    #: Meters whose last days were judged.
    slow_judged: int = 0

    def add_cycle(self, cycle: EngineCycle) -> None:
        """Count a cycle."""
        self.cycles += 1
        self.claimed += cycle.claimed
        self.meters += cycle.meters
        self.reevaluated += cycle.reevaluated
        self.readings += cycle.readings
        self.add_decided(cycle.decided)

    def add_decided(self, decided: Decided) -> None:
        """Count what an evaluation changed."""
        for name, count in asdict(decided).items():
            setattr(self, name, getattr(self, name) + count)


class Loop:
    """Drives an engine; the time comes from outside with every step."""

    def __init__(self, engine: Runs, database: Database, rhythm: Rhythm | None = None) -> None:
        self.figures = Figures()
        self._engine = engine
        self._database = database
        self._rhythm = rhythm or Rhythm()
        self._started_at: datetime | None = None
        self._next_clock: datetime | None = None
        self._next_heartbeat: datetime | None = None
        self._next_rollups: datetime | None = None
        self._next_slow: datetime | None = None
        self._planned: Any = None
        #: What is left of the clock's present run, and of the planning's.
        self._blocks: list[Any] = []
        self._plans: list[Any] = []
        self._plan_next = False

    def run(self, stop: threading.Event, clock: Callable[[], datetime]) -> None:
        """Step until told to stop; the database may come and go meanwhile."""
        backoff_s = _FIRST_BACKOFF_S
        while not stop.is_set():
            try:
                busy = self.step(clock())
                backoff_s = _FIRST_BACKOFF_S
            except CONFLICTS as error:
                self.figures.conflicts += 1
                _LOG.debug(
                    "engine met another writer", extra={"action": "engine_conflict", "why": str(error)}
                )
                stop.wait(_CONFLICT_WAIT_S)
                continue
            except StorageError as error:
                _LOG.warning(
                    "the database cannot be reached or does not take it; trying again in %.1f s",
                    backoff_s,
                    extra={"action": "engine_no_database", "why": str(error)},
                )
                stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)
                continue
            if not busy:
                stop.wait(self._rhythm.idle_wait_s)

    def step(self, now: datetime) -> bool:
        """Do one cycle and whatever else is due; tells whether there was work."""
        self._started_at = self._started_at or now
        cycle = self._engine.run_once(now)
        if cycle.claimed:
            self.figures.add_cycle(cycle)
        if self._next_clock is None or now >= self._next_clock:
            self._list_plans_if_due(now)
            self._blocks = list(self._engine.clock_blocks())
            self._next_clock = now + timedelta(seconds=self._rhythm.clock_every_s)
        # One at a time, and in turns: new readings wait neither for the clock to have looked at the whole
        # fleet nor for everybody's plan.
        if self._blocks and not (self._plans and self._plan_next):
            self.figures.add_decided(self._engine.run_clock_block(self._blocks[-1], now))
            self._blocks.pop()
            self._plan_next = True
        elif self._plans:
            self._plan(now)
            self._plan_next = False
        rolling = self._roll_up_if_due(now)
        # What is not rolled up yet would only have to be judged again.
        judging = not rolling and self._judge_if_due(now)
        if self._next_heartbeat is None or now >= self._next_heartbeat:
            self._beat(now, self._started_at)
            self._next_heartbeat = now + timedelta(seconds=self._rhythm.heartbeat_every_s)
        return cycle.claimed > 0 or rolling or judging or bool(self._blocks or self._plans)

    def _roll_up_if_due(self, now: datetime) -> bool:
        """Do one step of the roll-ups' upkeep, so that alarms wait for no more than that."""
        if self._next_rollups is not None and now < self._next_rollups:
            return False
        done = self._engine.run_rollups()
        self.figures.rollup_hours += done.hours
        self.figures.rollup_days += done.days
        if done.claimed:
            # What was rolled up may be what a day waited for.
            self._next_slow = None
        else:
            self._next_rollups = now + timedelta(seconds=self._rhythm.rollups_every_s)
        return done.claimed > 0

    def _judge_if_due(self, now: datetime) -> bool:
        """Judge a block of meters, so that alarms wait for no more than that."""
        if self._next_slow is not None and now < self._next_slow:
            return False
        done = self._engine.run_slow(now)
        self.figures.slow_judged += done.meters
        self.figures.add_decided(done.decided)
        if done.meters == 0:
            self._next_slow = now + timedelta(seconds=self._rhythm.slow_every_s)
        return done.meters > 0

    def _list_plans_if_due(self, now: datetime) -> None:
        """Plan on each new day of any company, and when the registry changed."""
        with self._database.transaction() as transaction:
            registry = transaction.row(_SQL["registry_version"])
            zones = [row["timezone"] for row in transaction.rows(_SQL["timezones"])]
        wanted = (registry, [now.astimezone(ZoneInfo(zone)).date() for zone in zones])
        if wanted == self._planned:
            return
        self._plans = list(self._engine.plan_steps(now))
        self._plans.reverse()
        self._planned = wanted

    def _plan(self, now: datetime) -> None:
        """Plan for some customers, so that alarms wait for no more than that."""
        done = self._engine.run_plan_step(self._plans[-1], now)
        self._plans.pop()
        self.figures.obligations += done.obligations
        self.figures.tasks_created += done.tasks

    def _beat(self, now: datetime, started_at: datetime) -> None:
        with self._database.transaction() as transaction:
            waiting = transaction.row(_SQL["work_oldest"]) or {"waiting": 0, "oldest_at": None}
            oldest_at = waiting["oldest_at"]
            lag_s = max((now - oldest_at).total_seconds(), 0.0) if oldest_at else 0.0
            figures = {**asdict(self.figures), "waiting": waiting["waiting"], "lag_s": lag_s}
            figures["rollup_waiting"], figures["rollup_lag_s"] = rollups_waiting(transaction, now)
            figures["slow_due"] = slow_waiting(transaction, now)
            beat = {"started_at": started_at, "now": now, "figures": json.dumps(figures)}
            transaction.execute(_SQL["heartbeat"], beat)
