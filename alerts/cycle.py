"""A cycle: what the engine does with the work it claimed, within one transaction.

The meters are taken in parts, and the database and the checks work at the same time: while one part is
judged, the next one is read and the one before it is written. Everything that changes alarms comes
after all states. So two engines, or an engine and a person, take what they lock in one order.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from alerts.alarms.model import Alarm, Change
from alerts.alarms.reconcile import reconcile
from alerts.alarms.scope import Scope
from alerts.carried import encode_states, save_states
from alerts.checkpoints import Kept, copy_carried, drop_from, save_kept
from alerts.clock import note_newest
from alerts.decisions import known_alarms, write_changes
from alerts.evaluation import Evaluated, Part, Sizes, evaluate_part, parts_of, scope_of
from alerts.failpoint import Failpoint
from alerts.line import Orders
from alerts.pieces import Told
from alerts.rollups.work import leave_rollup_work
from alerts.work import Claim, EngineCycle, finish
from analytics.usage.evaluate import SLOW_CHECKS
from fleet.checks import BY_CODE
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch
from storage.database import Transaction

#: All but the slow ones, which no stretch of readings decides.
_ALL_CHECKS = frozenset(BY_CODE) - frozenset(SLOW_CHECKS)

#: Steps of a cycle at which a test may let it fail, in their order; `evaluated` once for each part.
STEPS = ("claimed", "evaluated", "states_written", "alarms_written", "work_removed")


@dataclass(frozen=True, slots=True, eq=False)
class _Undecided:
    """What a part's evaluation found, and the alarms that are on their way."""

    told: Told
    scope: Scope
    alarms: Future[list[Alarm]]


@dataclass(slots=True)
class _Tally:
    """What the parts of a cycle came to."""

    meters: int = 0
    reevaluated: int = 0
    from_start: int = 0
    readings: int = 0
    newest_us: int = ABSENT
    kept: list[Kept] = field(default_factory=list)

    def add(self, part: Part, done: Evaluated) -> None:
        """Count a part."""
        self.meters += len(part.meters)
        self.reevaluated += int(part.plan.again.sum())
        self.from_start += int(part.plan.from_start.sum())
        self.readings += done.readings
        self.newest_us = max(self.newest_us, int(done.state["last_time_us"].max(initial=ABSENT)))
        self.kept += done.kept


class Cycle:
    """One cycle; nothing of it is kept after the transaction."""

    def __init__(
        self, transaction: Transaction, orders: Orders, claimed: Claim, now: datetime, failpoint: Failpoint
    ) -> None:
        self._transaction = transaction
        self._orders = orders
        self._claimed = claimed
        self._now = now
        self._failpoint = failpoint
        self._changes: list[Change] = []
        self._undecided: _Undecided | None = None
        self._tally = _Tally()

    def run(self, meters: MeterTable, sizes: Sizes) -> EngineCycle:
        """Evaluate and decide on the claim's meters, write everything, and remove the work."""
        transaction, orders, tally = self._transaction, self._orders, self._tally
        for part in parts_of(transaction, orders, self._claimed, meters, sizes.meters):
            done = evaluate_part(transaction, orders, part, sizes.readings, self._roll_up)
            self._failpoint("evaluated")
            self._take(part, done)
        self._decide()
        orders.settle()
        self._failpoint("states_written")
        decided = write_changes(transaction, self._changes, self._now)
        save_kept(transaction, tally.kept)
        self._failpoint("alarms_written")
        # Last of all writing: should two connections share a row, they meet for a moment only.
        note_newest(transaction, tally.newest_us)
        finish(transaction, self._claimed)
        self._failpoint("work_removed")
        return EngineCycle(
            claimed=len(self._claimed.ids),
            meters=tally.meters,
            reevaluated=tally.reevaluated,
            from_start=tally.from_start,
            readings=tally.readings,
            decided=decided,
        )

    def _roll_up(self, readings: ReadingBatch) -> None:
        claimed = self._claimed
        self._orders.later(
            leave_rollup_work, self._transaction, readings, claimed.meter_keys, claimed.since_us, self._now
        )

    def _take(self, part: Part, done: Evaluated) -> None:
        """Have a part's states written, and decide meanwhile on what the part before it found."""
        told, scope = Told.concatenate(done.told), scope_of(part.plan, done)
        alarms = self._orders.later(known_alarms, self._transaction, told, _ALL_CHECKS, scope, self._now)
        encoded = encode_states(part.plan.meter_keys, done.state)
        self._orders.later(self._write_states, part, done, encoded, first=self._tally.meters == 0)
        self._tally.add(part, done)
        self._decide()
        self._undecided = _Undecided(told, scope, alarms)

    def _decide(self) -> None:
        if self._undecided is not None:
            told, alarms = self._undecided.told, self._undecided.alarms.result()
            self._changes += reconcile(told.episodes, alarms, self._now, self._undecided.scope, told.arrivals)
            self._undecided = None

    def _write_states(self, part: Part, done: Evaluated, encoded: bytes, *, first: bool) -> None:
        """Write what is carried, and what is kept of what was carried.

        First of all writing: where two engines meet, the later one finds out before it did more.
        """
        plan = part.plan
        copy_carried(self._transaction, plan.meter_keys, done.rung)
        save_states(self._transaction, encoded, first=first)
        late = np.flatnonzero(plan.again)
        drop_from(self._transaction, plan.meter_keys[late], part.claimed.since_us[late])
