"""The daily pass: judges the days of meters that are over, a block of meters in each transaction.

It is level-triggered. Each meter has a day through which it is settled, beside the mark that every
upkeep of its roll-ups writes. It is due when a day that is over lies two days or more after that one,
or when an upkeep touched a day that was judged. The last day that is over is judged with what its
successor has so far, and settled a day later: the next day's first register closes it. So a step
always begins with a settled state, and what it does not show since then never was.

Two passes never hold one meter, because rows are claimed with SKIP LOCKED. A pass and an upkeep that
meet at one both write its row, and the database lets only one of them through. A crash repeats the
step as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alerts.alarms.scope import Scope
from alerts.arrivals import Arrivals
from alerts.decisions import Decided, decide
from alerts.failpoint import Failpoint, go_on
from alerts.meter_cache import MeterCache
from alerts.pieces import Told
from alerts.rollups.store import HOURS, read_rollups
from alerts.slow.due import Days, Due, claim_due
from alerts.slow.judging import Span, judge_days_between
from alerts.slow.states import Kept, days_kept, load_carried, save_states
from analytics.episodes import Episodes
from analytics.rollups.columns import HourRollups
from analytics.rollups.periods import local_days, midnight_us
from analytics.usage.evaluate import LOOKBACK_DAYS, SLOW_CHECKS
from fleet.readings import ABSENT
from storage.database import Database, Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.slow")

#: Steps at which a test may let a pass fail, in their order.
STEPS = ("claimed", "judged", "settled", "alarms_written")

#: Of a meter that is far behind so many days are judged in one step.
MOST_DAYS = 92
_CHECKS = frozenset(SLOW_CHECKS)


@dataclass(frozen=True, slots=True)
class SlowStep:
    """What one step did."""

    #: Meters that were judged; 0 where none was due.
    meters: int = 0
    #: Those of them that were judged again.
    again: int = 0
    decided: Decided = field(default_factory=Decided)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Meters with the days to judge, and what was open before these; shapes (k,)."""

    due: Due
    from_day: Days
    through: Days
    open: NDArray[np.void]

    @property
    def settled(self) -> Days:
        """Give the last day that is final after this step."""
        return self.through - 1

    def midnight_us(self, days: Days) -> Days:
        """Give the midnight of a day of each meter."""
        pairs = zip(self.due.timezone, days.tolist(), strict=True)
        return np.array([midnight_us(ZoneInfo(zone), day) for zone, day in pairs], dtype=np.int64)

    def groups(self) -> list[NDArray[np.intp]]:
        """Gather meters of one zone with the same days to judge."""
        rows: dict[tuple[str, int, int], list[int]] = {}
        keys = zip(self.due.timezone, self.from_day.tolist(), self.through.tolist(), strict=True)
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return [np.array(group, dtype=np.intp) for group in rows.values()]


class DailyPass:
    """Judges what is due; every method takes the time as an argument."""

    def __init__(
        self,
        database: Database,
        cache: MeterCache,
        *,
        meters_per_step: int = 25,
        meter_days_per_step: int = 5_000,
        failpoint: Failpoint = go_on,
    ) -> None:
        """Make a pass.

        Parameters
        ----------
        database
            A migrated database.
        cache
            The registry's limits.
        meters_per_step, meter_days_per_step
            How many meters one transaction judges at most, and how many days of them it looks at,
            give or take one meter.
        failpoint
            Called with each of `STEPS`; a test raises there.
        """
        self._database = database
        self._cache = cache
        self._meters_per_step = meters_per_step
        self._meter_days_per_step = meter_days_per_step
        self._failpoint = failpoint

    def run_once(self, now: datetime) -> SlowStep:
        """Judge some of the meters that are due, in one transaction.

        Raises SerializationError, UniqueViolationError or StaleDecisionError where another writer was
        faster: nothing was written, and the same work can be tried again.
        """
        with self._database.transaction(repeatable_read=True) as transaction:
            due = claim_due(transaction, now, self._meters_per_step)
            if len(due) == 0:
                return SlowStep()
            self._failpoint("claimed")
            work = self._at_once(_plan(transaction, due))
            episodes, kept = self._judge(transaction, work, now)
            self._failpoint("judged")
            columns = {"meter_keys": work.due.meter_keys, "settled": work.settled}
            transaction.execute(_SQL["slow_settle"], columns)
            save_states(transaction, work.due, work.from_day, work.settled, kept)
            self._failpoint("settled")
            told = Told(episodes, Arrivals.unknown(len(episodes)))
            decided = decide(transaction, told, _CHECKS, _scope(work), now)
            self._failpoint("alarms_written")
        return SlowStep(len(work.due), int((work.due.again != ABSENT).sum()), decided)

    def _at_once(self, work: _Work) -> _Work:
        """Take as many meters as fit into a step; the others wait for the next one."""
        days = np.cumsum(np.maximum(work.through - work.from_day, 0) + LOOKBACK_DAYS)
        fit = max(int(np.searchsorted(days, self._meter_days_per_step, side="right")), 1)
        part = np.arange(min(fit, len(days)))
        return _Work(work.due.take(part), work.from_day[part], work.through[part], work.open[part])

    def _judge(self, transaction: Transaction, work: _Work, now: datetime) -> tuple[Episodes, list[Kept]]:
        meters = self._cache.table(transaction, work.due.meter_keys, now)
        rollups = _read(transaction, work)
        found: list[Episodes] = []
        kept: list[Kept] = []
        for rows in work.groups():
            keys, settled = work.due.meter_keys[rows], int(work.settled[rows[0]])
            from_day = int(work.from_day[rows[0]])
            days = days_kept(min(from_day, settled), settled)
            span = Span(from_day, int(work.through[rows[0]]), days)
            mine = rollups.take(np.isin(rollups.meter_key, keys))
            zone = ZoneInfo(work.due.timezone[rows[0]])
            done = judge_days_between(mine, meters.take(rows), zone, span, work.open[rows])
            found.append(done.episodes)
            kept += [Kept(keys, day, state) for day, state in done.states.items()]
        return Episodes.concatenate(found), kept


def _plan(transaction: Transaction, due: Due) -> _Work:
    """Decide from which day on to judge: from the newest state that holds, or from the first stored day.

    A meter that is far behind is judged piece by piece; one that is judged again, to the end at once,
    because it may have alarms of its last days.
    """
    carried = load_carried(transaction, due)
    without = np.flatnonzero(carried.through == ABSENT)
    from_day = carried.through + 1
    from_day[without] = _first_days(transaction, due, without)
    most = np.where(carried.through == due.settled, MOST_DAYS, 1 << 30)
    return _Work(due, from_day, np.minimum(due.through, from_day + most - 1), carried.open)


def _first_days(transaction: Transaction, due: Due, rows: NDArray[np.intp]) -> Days:
    """Give the local day of the first stored hour; the last day to judge where there is none."""
    first = due.through[rows].copy()
    if len(rows) == 0:
        return first
    row = transaction.row(_SQL["slow_first_hours"], {"meter_keys": due.meter_keys[rows]}) or {}
    keys = np.array(row.get("meter_keys") or [], dtype=np.int32)
    begin_us = np.array(row.get("begin_us") or [], dtype=np.int64)
    at = np.searchsorted(due.meter_keys[rows], keys)
    for name in np.unique(due.timezone[rows[at]]).tolist():
        mine = due.timezone[rows[at]] == name
        first[at[mine]] = local_days(begin_us[mine], ZoneInfo(name)).number
    return first


def _read(transaction: Transaction, work: _Work) -> HourRollups:
    """Read the hours of the look-back, of the days to judge, and of the day that closes the last one."""
    from_us = work.midnight_us(work.from_day - LOOKBACK_DAYS)
    to_us = work.midnight_us(work.through + 2)
    return read_rollups(transaction, HOURS, work.due.meter_keys, from_us, to_us)


def _scope(work: _Work) -> Scope:
    """Say for what the judgement speaks: for everything since the first day judged, and nothing before."""
    keys = work.due.meter_keys.tolist()
    again = np.flatnonzero((work.due.again != ABSENT) & (work.due.settled != ABSENT)).tolist()
    # The day after the settled one was judged, too.
    known_us = work.midnight_us(np.where(work.due.settled == ABSENT, 0, work.due.settled + 2)) - 1
    return Scope(
        meters=frozenset(keys),
        checks=_CHECKS,
        history=True,
        refutable=_CHECKS,
        since_us=dict(zip(keys, work.midnight_us(work.from_day).tolist(), strict=True)),
        known_us={keys[row]: int(known_us[row]) for row in again},
        arrived_us={
            keys[row]: int(work.due.received_us[row]) for row in again if work.due.received_us[row] != ABSENT
        },
        whole=True,
    )
