"""What a demo came to: the database's counts held against what the simulator knows to be true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.database import Database
from storage.named_sql import load_queries

_SQL = load_queries("runtime")

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Score:
    """Alarms held against the truth, in pairs of meter and check."""

    truth: dict[str, int]
    found: dict[str, int]
    false_alarms: int
    missed: list[str]
    unexpected: list[str]


def score(
    expected: Mapping[str, Iterable[str]],
    alarmed: Iterable[Pair],
    tolerated: Mapping[str, Iterable[str]] | None = None,
) -> Score:
    """Compare what had to alarm with what did.

    Parameters
    ----------
    expected
        Check -> meters that have to alarm.
    alarmed
        (meter, check) of every alarm that was raised.
    tolerated
        Check -> meters that may alarm besides: a fault of theirs can have that effect.
    """
    wanted, raised = _pairs(expected), set(alarmed)
    unexpected = raised - wanted - _pairs(tolerated or {})
    return Score(
        truth={check: len(set(meters)) for check, meters in sorted(expected.items())},
        found={
            check: sum((m, check) in raised for m in set(meters))
            for check, meters in sorted(expected.items())
        },
        false_alarms=len(unexpected),
        missed=sorted("/".join(pair) for pair in wanted - raised),
        unexpected=sorted("/".join(pair) for pair in unexpected),
    )


def _pairs(meters: Mapping[str, Iterable[str]]) -> set[Pair]:
    return {(meter, check) for check, ids in meters.items() for meter in ids}


def database_figures(database: Database) -> dict[str, Any]:
    """Count what lies in the database."""
    with database.transaction() as transaction:
        counts = transaction.row(_SQL["demo_counts"]) or {}
        alarms = transaction.rows(_SQL["demo_alarms_by_check"])
        tasks = transaction.rows(_SQL["demo_tasks_by_kind"])
        heartbeats = transaction.rows(_SQL["demo_heartbeats"])
    duplicates = [row["figures"].get("duplicates", 0) for row in heartbeats if row["service"] == "ingest"]
    return {
        "stored": counts["stored"],
        "refused": counts["refused"],
        "duplicates": sum(duplicates),
        "alarms_by_check": {row["check_code"]: row["n"] for row in alarms},
        "tasks_by_kind": {row["kind"]: row["n"] for row in tasks},
        "obligations": counts["obligations"],
    }


def alarmed_pairs(database: Database) -> list[Pair]:
    """List (meter, check) of every alarm there ever was."""
    with database.transaction() as transaction:
        return [(row["meter_id"], row["check_code"]) for row in transaction.rows(_SQL["demo_alarmed"])]


def arrived_count(database: Database) -> int:
    """Count readings that were stored or refused."""
    figures = database_figures(database)
    return int(figures["stored"] + figures["refused"])


def work_left(database: Database) -> int:
    """Count what the engine has not looked at yet."""
    with database.transaction() as transaction:
        row = transaction.row(_SQL["demo_work_left"])
    return int(row["n"]) if row else 0
