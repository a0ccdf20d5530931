"""Alarms in the database: changes written under guard of the state they were decided upon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alerts.alarms.lifecycle import LIFECYCLE, Event, State
from alerts.alarms.model import Alarm, Change, Fold, fold
from alerts.exceptions import StaleDecisionError
from fleet.checks import Severity
from fleet.policies import Origin
from fleet.times import to_datetime, to_us
from storage.database import Row, Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts.alarms")

#: Who changed an alarm when no person did.
ENGINE = "engine"

_ALARM_TEMPLATE = (
    "(%(meter_key)s, %(check)s, %(severity)s, %(state)s, %(onset_at)s::timestamptz, "
    "%(ended_at)s::timestamptz, %(decided_at)s::timestamptz, %(occurrences)s, %(readings)s, "
    "%(value)s::float8, %(limit)s::float8, %(part)s, %(limit_origin)s::text, "
    "%(alarm_id)s::bigint, %(expected)s::text)"
)
_JOURNAL_TEMPLATE = (
    "(%(alarm_id)s, %(event)s, %(from_state)s, %(to_state)s, %(event_at)s, "
    "%(arrived_at)s, %(decided_at)s, %(actor)s, %(note)s, %(limit_origin)s)"
)


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
    return [_alarm(row) for row in transaction.rows(_SQL["alarms_of_meters"], wanted)]


def apply_changes(
    transaction: Transaction,
    changes: Sequence[Change],
    decided_at: datetime,
    arrived_us: Mapping[int, int] | None = None,
) -> list[AppliedFold]:
    """Write changes and their journal rows.

    Parameters
    ----------
    transaction
        Where to write.
    changes
        What `reconcile` decided, in its order.
    decided_at
        The time of the decision.
    arrived_us
        Meter number -> when the newest reading behind the decision arrived, microseconds since 1970.

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
    _write_journal(transaction, applied, decided_at, arrived_us or {})
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
    entry = _journal_row(alarm_id, Event.ACKNOWLEDGE, state, after, now)
    entry |= {"limit_origin": row["limit_origin"]}
    _insert_journal(transaction, [{**entry, "decided_at": now, "actor": actor, "note": note}])
    return Acknowledged(alarm_id, after)


def _alarm(row: Row) -> Alarm:
    return Alarm(
        alarm_id=row["alarm_id"],
        meter_key=row["meter_key"],
        check=row["check_code"],
        severity=Severity(row["severity"]),
        state=State(row["state"]),
        onset_us=to_us(row["onset_at"]),
        first_onset_us=to_us(row["first_onset_at"]),
        ended_us=None if row["ended_at"] is None else to_us(row["ended_at"]),
        occurrences=row["occurrences"],
        readings=row["readings"],
        value=_nan_if_null(row["value"]),
        limit=_nan_if_null(row["limit_value"]),
        part=row["part"],
        origin=Origin.of_word(row["limit_origin"]),
    )


def _update(transaction: Transaction, folds: Sequence[Fold], decided_at: datetime) -> None:
    rows = [_alarm_row(item, decided_at) for item in folds]
    # In one order everywhere, so that two engines wait for each other instead of deadlocking.
    rows.sort(key=lambda row: row["alarm_id"])
    written = {
        row["alarm_id"] for row in transaction.execute_many(_SQL["alarms_update"], rows, _ALARM_TEMPLATE)
    }
    stale = [row["alarm_id"] for row in rows if row["alarm_id"] not in written]
    if stale:
        msg = f"alarms {stale} are no longer in the state that was decided upon"
        raise StaleDecisionError(msg)


def _insert(
    transaction: Transaction, folds: Sequence[Fold], decided_at: datetime
) -> dict[tuple[int, str], int]:
    rows = [_alarm_row(item, decided_at) for item in folds]
    found = transaction.execute_many(_SQL["alarms_insert"], rows, _ALARM_TEMPLATE)
    return {(row["meter_key"], row["check_code"]): row["alarm_id"] for row in found}


def _number_of(alarm: Alarm, new_ids: Mapping[tuple[int, str], int]) -> int:
    return new_ids[alarm.meter_key, alarm.check] if alarm.alarm_id is None else alarm.alarm_id


def _alarm_row(item: Fold, decided_at: datetime) -> dict[str, Any]:
    alarm = item.after
    return {
        "alarm_id": alarm.alarm_id,
        "expected": item.expected,
        "meter_key": alarm.meter_key,
        "check": alarm.check,
        "severity": alarm.severity,
        "state": alarm.state,
        "onset_at": to_datetime(alarm.onset_us),
        "ended_at": None if alarm.ended_us is None else to_datetime(alarm.ended_us),
        "decided_at": decided_at,
        "occurrences": alarm.occurrences,
        "readings": alarm.readings,
        "value": _null_if_nan(alarm.value),
        "limit": _null_if_nan(alarm.limit),
        "part": alarm.part,
        "limit_origin": alarm.origin.word,
    }


def _write_journal(
    transaction: Transaction,
    applied: Sequence[AppliedFold],
    decided_at: datetime,
    arrived_us: Mapping[int, int],
) -> None:
    rows = []
    for item in applied:
        arrived = arrived_us.get(item.fold.after.meter_key)
        for change in item.fold.changes:
            if not change.journalled:
                continue
            event_at = to_datetime(change.event_us)
            entry = _journal_row(item.alarm_id, change.event, change.before, change.after.state, event_at)
            entry |= {"arrived_at": None if arrived is None else to_datetime(arrived)}
            entry |= {"limit_origin": change.after.origin.word}
            rows.append({**entry, "decided_at": decided_at, "actor": ENGINE, "note": change.note})
    _insert_journal(transaction, rows)


def _journal_row(
    alarm_id: int, event: Event, before: State | None, after: State, event_at: datetime
) -> dict[str, Any]:
    return {
        "alarm_id": alarm_id,
        "event": event,
        "from_state": before,
        "to_state": after,
        "event_at": event_at,
        "arrived_at": None,
    }


def _insert_journal(transaction: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    transaction.execute_many(_SQL["journal_insert"], rows, _JOURNAL_TEMPLATE)


def _nan_if_null(value: float | None) -> float:
    return math.nan if value is None else value


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
