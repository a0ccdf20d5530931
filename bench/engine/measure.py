"""The two measurements: how many readings a second, and how long from a commit to its alarm."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import numpy as np

from alerts.decisions import Decided
from alerts.engine import Engine
from alerts.inspections.planning import Planned
from alerts.loop import Loop
from alerts.work import EngineCycle
from bench.engine.fleet import QMAX_M3H, Fleet
from storage.database import Database

_COMMITS_PER_S = 10
_LATE_US = 30_000_000


@dataclass(frozen=True, slots=True)
class Drained:
    """What draining a backlog took."""

    readings: int
    wall_s: float
    engine_cpu_s: float
    reevaluated: int

    @property
    def per_s(self) -> float:
        """Readings per second of wall time; the engine and its database take turns on it."""
        return self.readings / self.wall_s


def drain(fleet: Fleet, per_s: int, seconds: int, first_turn: int, late_share: float = 0.0) -> Drained:
    """Commit a backlog of so many seconds, then time the engine working it off.

    A share of the readings is taken half a minute before the others with which it arrives.
    """
    count = len(fleet.meter_keys)
    at = 0
    for second in range(seconds):
        for part in range(_COMMITS_PER_S):
            meters = (at + np.arange(per_s // _COMMITS_PER_S)) % count
            turn = first_turn + (at + len(meters)) // count
            times = fleet.spread_us(per_s, second)[part * len(meters) : (part + 1) * len(meters)]
            late = np.random.default_rng([second, part]).random(len(meters)) < late_share
            fleet.commit(fleet.readings(meters, turn, times - late * _LATE_US, calm=False), fleet.start)
            at += len(meters)
    return _time(fleet.engine, fleet.start + timedelta(seconds=seconds))


def _time(engine: Engine, now: datetime) -> Drained:
    readings = reevaluated = 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    while (cycle := engine.run_once(now)).claimed:
        readings += cycle.readings
        reevaluated += cycle.reevaluated
    return Drained(readings, time.perf_counter() - began_s, time.process_time() - cpu_s, reevaluated)


def latencies_s(fleet: Fleet, per_s: int, seconds: int, first_turn: int) -> list[float]:
    """Commit readings at an even pace beside a running engine; gives commit to alarm row for each alarm."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    engine = context.Process(target=_run_engine, args=(fleet.database.url, theirs))
    engine.start()
    try:
        ours.recv()
        committed = _commit_evenly(fleet, per_s, seconds, first_turn)
        time.sleep(2.0)  # for the engine to end what it has begun
        ours.send("stop")
        finished: dict[datetime, float] = ours.recv()
    finally:
        engine.join(20)
        engine.kill()
    return _match(fleet, committed, finished)


def _commit_evenly(fleet: Fleet, per_s: int, seconds: int, turn: int) -> dict[int, float]:
    """Give, for each meter that began to be over range, when its reading was committed."""
    committed: dict[int, float] = {}
    size, count, at = per_s // _COMMITS_PER_S, len(fleet.meter_keys), 0
    began_s = time.monotonic()
    for number in range(seconds * _COMMITS_PER_S):
        meters = (at + np.arange(size)) % count
        now = datetime.now(UTC)
        times = np.full(size, int(now.timestamp() * 1e6)) + np.arange(size)
        readings = fleet.readings(meters, turn + at // count, times, calm=False)
        fleet.commit(readings, now)
        done_s = time.time()
        for key in readings.meter_key[readings.flow_m3h > QMAX_M3H].tolist():
            committed.setdefault(key, done_s)
        at += size
        time.sleep(max(began_s + (number + 1) / _COMMITS_PER_S - time.monotonic(), 0.0))
    return committed


def _match(fleet: Fleet, committed: dict[int, float], finished: dict[datetime, float]) -> list[float]:
    with fleet.database.transaction() as transaction:
        rows = transaction.rows(
            "SELECT meter_key, raised_at FROM alarm WHERE check_code = 'flow_over_range' "
            "AND meter_key = ANY(%(keys)s) AND raised_at >= %(since)s",
            {"keys": list(committed), "since": min(finished)},
        )
    return [finished[row["raised_at"]] - committed[row["meter_key"]] for row in rows]


class _Timed:
    """An engine that notes when each of its cycles was committed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.finished: dict[datetime, float] = {}

    def run_once(self, now: datetime) -> EngineCycle:
        cycle = self._engine.run_once(now)
        if cycle.claimed:
            self.finished[now] = time.time()
        return cycle

    def __getattr__(self, name: str) -> Callable[..., Decided | Planned]:
        found: Callable[..., Decided | Planned] = getattr(self._engine, name)
        return found


def _run_engine(url: str, pipe: Connection) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    database = Database(url)
    engine = _Timed(Engine(database))
    stop = threading.Event()
    loop = Loop(engine, database)  # type: ignore[arg-type] # what is not timed is handed through
    while loop.step(datetime.now(UTC)):
        pass  # the registry is read and planned once
    running = threading.Thread(target=loop.run, args=(stop, lambda: datetime.now(UTC)))
    running.start()
    pipe.send("ready")
    pipe.recv()
    stop.set()
    running.join()
    pipe.send(engine.finished)
    database.close()
