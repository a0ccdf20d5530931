"""Alarms in the database: changes written under guard of the state they were decided upon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any

from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.alarms.model import Alarm, Change, Fold, fold
from alerts.alarms.rows import alarm_of, image_of
from alerts.exceptions import StaleDecisionError
from fleet.times import to_datetime
from storage.database import Transaction, as_json
from storage.named_sql import load_queries

_SQL = load_queries("alerts.alarms")

#: Who changed an alarm when no person did.
ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class AppliedFold:
    """All changes of one alarm as they were written, and the alarm's number."""

    alarm_id: int
    fold: Fold


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The acknowledgement was taken; the state that the alarm is in now."""

    alarm_id: int
    state: State


class WhyNot(StrEnum):
    """Why an alarm cannot be acknowledged."""

    NOT_FOUND = "there is no such alarm"
    ALREADY_ACKNOWLEDGED = "somebody acknowledged it before"
    CLOSED = "it is closed"


@dataclass(frozen=True, slots=True)
class NotPossible:
    """The acknowledgement was not taken, and why."""

    alarm_id: int
    reason: WhyNot


def load_alarms(transaction: Transaction, since_us: Mapping[int, int], checks: Sequence[str]) -> list[Alarm]:
    """Load the alarms that a decision on some meters has to know.

    Parameters
    ----------
    transaction
        Where to read.
    since_us
        Meter number -> moment, microseconds since 1970: closed alarms that ended before it are left out.
    checks
        Codes of the checks concerned.
    """
    keys = sorted(since_us)
    since = [to_datetime(since_us[key]) for key in keys]
    wanted = {"meter_keys": keys, "since": since, "checks": list(checks)}
    return [alarm_of(row) for row in transaction.rows(_SQL["alarms_of_meters"], wanted)]


def apply_changes(
    transaction: Transaction, changes: Sequence[Change], decided_at: datetime
) -> list[AppliedFold]:
    """Write changes, and for each a row of the journal: the alarm as it is after it.

    Parameters
    ----------
    transaction
        Where to write.
    changes
        What `reconcile` decided, in its order.
    decided_at
        The time of the decision.

    Raises
    ------
    StaleDecisionError
        An alarm is no longer in the state that the decision saw.

    """
    folds = fold(changes)
    old = [item for item in folds if item.after.alarm_id is not None]
    new = [item for item in folds if item.after.alarm_id is None]
    # Old alarms first: one that closes makes room for a new one of the same meter and check.
    _update(transaction, old, decided_at)
    ids = _insert(transaction, new, decided_at)
    applied = [AppliedFold(_number_of(item.after, ids), item) for item in folds]
    _write_journal(transaction, applied, decided_at)
    return applied


def acknowledge(
    transaction: Transaction, alarm_id: int, actor: str, now: datetime, note: str | None = None
) -> Acknowledged | NotPossible:
    """Note that a person knows of an alarm; gives the new state, or why it was not possible."""
    row = transaction.row(_SQL["alarm_state"], {"alarm_id": alarm_id})
    if row is None:
        return NotPossible(alarm_id, WhyNot.NOT_FOUND)
    state = State(row["state"])
    if not LIFECYCLE.possible(state, Event.ACKNOWLEDGE):
        closed = state is State.CLOSED
        return NotPossible(alarm_id, WhyNot.CLOSED if closed else WhyNot.ALREADY_ACKNOWLEDGED)
    after = LIFECYCLE.after(state, Event.ACKNOWLEDGE)
    guarded = {"alarm_id": alarm_id, "state": after, "expected": state, "actor": actor, "now": now}
    if transaction.row(_SQL["alarm_acknowledge"], guarded) is None:
        msg = f"alarm {alarm_id} is no longer {state}"
        raise StaleDecisionError(msg)
    entry = {**guarded, "event": Event.ACKNOWLEDGE, "note": note}
    transaction.execute(_SQL["journal_acknowledge"], entry)
    return Acknowledged(alarm_id, after)


def _update(transaction: Transaction, folds: Sequence[Fold], decided_at: datetime) -> None:
    if not folds:
        return
    # In one order everywhere, so that two engines wait for each other instead of deadlocking.
    rows = sorted((_alarm_row(item) for item in folds), key=itemgetter("alarm_id"))
    found = transaction.rows(_SQL["alarms_update"], {"rows": as_json(rows), "decided_at": decided_at})
    written = {row["alarm_id"] for row in found}
    stale = [row["alarm_id"] for row in rows if row["alarm_id"] not in written]
    if stale:
        msg = f"alarms {stale} are no longer in the state that was decided upon"
        raise StaleDecisionError(msg)


def _insert(
    transaction: Transaction, folds: Sequence[Fold], decided_at: datetime
) -> dict[tuple[int, str], int]:
    if not folds:
        return {}
    rows = as_json([_alarm_row(item) for item in folds])
    found = transaction.rows(_SQL["alarms_insert"], {"rows": rows, "decided_at": decided_at})
    return {(row["meter_key"], row["check_code"]): row["alarm_id"] for row in found}


def _number_of(alarm: Alarm, new_ids: Mapping[tuple[int, str], int]) -> int:
    return new_ids[alarm.meter_key, alarm.check] if alarm.alarm_id is None else alarm.alarm_id


def _alarm_row(item: Fold) -> dict[str, Any]:
    alarm = item.after
    return {
        **image_of(alarm),
        "alarm_id": alarm.alarm_id,
        "expected": item.expected,
        "meter_key": alarm.meter_key,
        "check_code": alarm.check,
    }


def _write_journal(transaction: Transaction, applied: Sequence[AppliedFold], decided_at: datetime) -> None:
    rows = [
        {
            **image_of(change.after),
            "alarm_id": item.alarm_id,
            "event": change.event,
            "from_state": change.before,
            "event_us": change.event_us,
            "arrived_us": change.arrived_us,
            "note": change.note,
            "correction": change.correction,
            "late_until_us": change.late_until_us,
        }
        for item in applied
        for change in item.fold.changes
    ]
    if rows:
        entries = {"rows": as_json(rows), "decided_at": decided_at, "actor": ENGINE}
        transaction.execute(_SQL["journal_insert"], entries)
