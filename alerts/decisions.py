"""From episodes to alarms and tasks in the database: the second half of every evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.alarms.lifecycle import Event
from alerts.alarms.model import Alarm, Change
from alerts.alarms.reconcile import reconcile
from alerts.alarms.scope import Scope
from alerts.alarms.store import apply_changes, load_alarms
from alerts.inspections.store import cancel_alarm_tasks, create_alarm_tasks
from alerts.pieces import Told
from analytics.episodes import Episodes
from fleet.times import to_us
from storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Decided:
    """What one evaluation changed."""

    alarms_opened: int = 0
    alarms_cleared: int = 0
    alarms_reactivated: int = 0
    alarms_escalated: int = 0
    tasks_created: int = 0

    def __add__(self, other: Decided) -> Decided:
        return Decided(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))


def decide(
    transaction: Transaction, told: Told, checks: Iterable[str], scope: Scope, now: datetime
) -> Decided:
    """Reconcile the alarms with what an evaluation found, and write changes, journal and visits.

    Parameters
    ----------
    transaction
        Where to read and write; must be the one in which the evaluation's readings were read.
    told
        What the evaluation found, and when the readings arrived that decided it.
    checks
        Codes of the checks that it ran.
    scope
        For what a missing episode is a statement.
    now
        The time of the decision.
    """
    alarms = known_alarms(transaction, told, checks, scope, now)
    return write_changes(transaction, reconcile(told.episodes, alarms, now, scope, told.arrivals), now)


def known_alarms(
    transaction: Transaction, told: Told, checks: Iterable[str], scope: Scope, now: datetime
) -> list[Alarm]:
    """Load the alarms that a decision on what was found has to know; parameters as in `decide`."""
    since_us = dict.fromkeys(scope.meters, to_us(now)) | _earliest(told.episodes)
    return load_alarms(transaction, since_us, sorted(checks))


def write_changes(transaction: Transaction, changes: Sequence[Change], now: datetime) -> Decided:
    """Write what was decided on alarms, the journal and visits."""
    applied = apply_changes(transaction, changes, now)
    tasks = create_alarm_tasks(transaction, applied, now)
    cancel_alarm_tasks(transaction, applied)
    happened = Counter(change.event for change in changes)
    return Decided(
        alarms_opened=happened[Event.RAISE],
        alarms_cleared=happened[Event.CLEAR],
        alarms_reactivated=happened[Event.REACTIVATE],
        alarms_escalated=happened[Event.ESCALATE],
        tasks_created=tasks,
    )


def _earliest(episodes: Episodes) -> dict[int, int]:
    """Find each meter's earliest onset."""
    meters, at = np.unique(episodes.meter_key, return_inverse=True)
    earliest: NDArray[np.int64] = np.full(len(meters), np.iinfo(np.int64).max)
    np.minimum.at(earliest, at, episodes.started_us)
    return dict(zip(meters.tolist(), earliest.tolist(), strict=True))
