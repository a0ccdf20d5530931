"""A journal of before it told what an alarm was after each change: what is known of its past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.alarms.lifecycle import State
from api.service import SQL
from fleet.meters import Meter
from storage.database import Database
from storage.migrate import Layout, migrate, migrations
from storage.registry import load_meters, upsert_meters

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MON, TUE, WED, THU, FRI = (datetime(2026, 11, 2, tzinfo=UTC) + day * DAY for day in range(5))

_AU, _AA, _CU, _C = (str(state) for state in State)
_ONSET_CORRECTED = "correction: the readings as they are now show another onset"

Told = tuple[str, str | None, str, datetime, datetime, str, str | None]


def _engine(event: str, before: str | None, after: str, at: datetime, note: str | None = None) -> Told:
    """What the engine told an hour after it was so."""
    return event, before, after, at, at + HOUR, "engine", note


@pytest.fixture
def old(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, make_meter: Callable[..., Meter]
) -> Iterator[Database]:
    """A database as it was before the migration, with one meter."""
    database = Database(empty_database_url)
    older = [m for m in migrations(Layout.PLAIN) if m.version < "0008"]
    with monkeypatch.context() as patch:
        patch.setattr("storage.migrate.migrations", lambda _layout: older)
        migrate(database)
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1")])
    yield database
    database.close()


def _write(database: Database, alarm: dict[str, Any], journal: list[Told]) -> int:
    with database.transaction() as transaction:
        key = load_meters(transaction)[0].meter_key
        row = transaction.row(
            "INSERT INTO alarm (company, meter_key, check_code, severity, state, onset_at, ended_at, raised_at, "
            "occurrences, readings, value, limit_value, part, acknowledged_by, acknowledged_at) VALUES ('north', "
            "%(key)s, 'flow_over_range', 'major', %(state)s, %(onset)s, %(ended)s, %(raised)s, %(times)s, 7, 500, "
            "160, 0, %(by)s, %(by_at)s) RETURNING alarm_id",
            {"key": key, "raised": journal[0][4], "ended": None, "by": None, "by_at": None, **alarm},
        )
        assert row is not None
        names = ("event", "before", "after", "at", "decided", "actor", "note")
        for told in journal:
            transaction.execute(
                "INSERT INTO alarm_journal (alarm_id, event, from_state, to_state, event_at, decided_at, actor, note) "
                "VALUES (%(id)s, %(event)s, %(before)s, %(after)s, %(at)s, %(decided)s, %(actor)s, %(note)s)",
                {"id": row["alarm_id"], **dict(zip(names, told, strict=True))},
            )
    return int(row["alarm_id"])


def _known(database: Database, known_at: datetime, *columns: str, at: datetime | None = None) -> list[Any]:
    wanted = dict.fromkeys(("alarm_id", "check", "severity", "meter_id", "company"))
    wanted |= {"states": [str(state) for state in State], "after": 0, "limit": 100}
    with database.transaction() as transaction:
        rows = transaction.rows(SQL["alarms_known"], {**wanted, "known_at": known_at, "at": at})
    return [tuple(row[column] for column in columns) for row in rows]


def test_an_alarm_that_came_back_was_over_in_between(old: Database) -> None:
    journal = [
        _engine("raise", None, _AU, MON),
        _engine("clear", _AU, _CU, TUE),
        _engine("reactivate", _CU, _AU, FRI),
    ]
    _write(old, {"state": _AU, "onset": FRI, "times": 2}, journal)
    migrate(old)
    columns = ("state", "onset_at", "ended_at", "occurrences")
    assert _known(old, MON, *columns) == []
    assert _known(old, MON + HOUR, *columns) == [(_AU, MON, None, 1)]
    assert _known(old, TUE + HOUR, *columns) == [(_CU, MON, TUE, 1)]
    assert _known(old, FRI + HOUR, *columns) == [(_AU, FRI, None, 2)]
    # Of Monday noon it is known before and after it came back; on Thursday all was well.
    assert _known(old, WED, "state", at=MON + DAY / 2) == [(_CU,)]
    assert _known(old, FRI + DAY, "state", at=MON + DAY / 2) == [(_AU,)]
    assert _known(old, FRI + DAY, "state", at=THU) == []


def test_what_was_not_kept_is_given_as_it_is_now(old: Database) -> None:
    journal = [_engine("raise", None, _AU, MON), _engine("escalate", _AU, _AU, TUE)]
    _write(old, {"state": _AU, "onset": MON, "times": 1}, journal)
    migrate(old)
    columns = ("severity", "readings", "value", "limit", "onset_at", "ended_at")
    assert _known(old, MON + HOUR, *columns) == [("major", 7, 500.0, 160.0, MON, None)]


def test_whoever_acknowledged_last_is_known_until_it_became_worse(old: Database) -> None:
    journal = [
        _engine("raise", None, _AU, MON),
        ("acknowledge", _AU, _AA, TUE, TUE, "wang", None),
        _engine("escalate", _AA, _AU, WED),
        ("acknowledge", _AU, _AA, THU, THU, "li", None),
        _engine("clear", _AA, _C, FRI),
    ]
    _write(old, {"state": _C, "onset": MON, "ended": FRI, "times": 1, "by": "li", "by_at": THU}, journal)
    migrate(old)
    columns = ("acknowledged_by", "acknowledged_at", "ended_at")
    moments = (MON + HOUR, TUE, WED + HOUR, THU, FRI + HOUR)
    assert [_known(old, moment, *columns) for moment in moments] == [
        [(None, None, None)],
        [("wang", TUE, None)],
        [(None, None, None)],
        [("li", THU, None)],
        [("li", THU, FRI)],
    ]


def test_an_occurrence_that_a_late_batch_showed_is_counted_and_known(old: Database) -> None:
    late = f"late readings: it was so until {(MON + HOUR).isoformat()}"
    journal = [
        _engine("raise", None, _AU, TUE),
        _engine("clear", _AU, _CU, WED),
        ("recur_late", _CU, _CU, MON, THU, "engine", late),
    ]
    _write(old, {"state": _CU, "onset": TUE, "ended": WED, "times": 2}, journal)
    migrate(old)
    columns = ("onset_at", "ended_at", "occurrences")
    assert _known(old, WED + HOUR, *columns) == [(TUE, WED, 1)]
    assert _known(old, THU, *columns) == [(TUE, WED, 2)]
    assert _known(old, THU, "occurrences", at=MON) == [(2,)]
    assert _known(old, THU, "occurrences", at=MON + HOUR) == []


def test_a_corrected_onset_is_known_from_the_correction_on(old: Database) -> None:
    decided = THU + HOUR
    journal = [
        _engine("raise", None, _AU, WED),
        ("update", _AU, _AU, TUE, WED + 2 * HOUR, "engine", _ONSET_CORRECTED),
        # Evaluated again it began on Monday and is over: then the row's own time is the end.
        ("update", _AU, _AU, THU, decided, "engine", _ONSET_CORRECTED),
        ("clear", _AU, _CU, THU, decided, "engine", None),
        ("acknowledge", _CU, _C, FRI, FRI, "wang", None),
    ]
    _write(old, {"state": _C, "onset": MON, "ended": THU, "times": 1, "by": "wang", "by_at": FRI}, journal)
    migrate(old)
    moments = (WED + HOUR, WED + 2 * HOUR, decided, FRI)
    assert [_known(old, moment, "onset_at", "ended_at") for moment in moments] == [
        [(WED, None)],
        [(TUE, None)],
        [(MON, THU)],
        [(MON, THU)],
    ]


def test_what_was_withdrawn_was_known_before(old: Database) -> None:
    journal = [
        _engine("raise", None, _AU, MON),
        _engine("clear", _AU, _CU, TUE),
        ("withdraw", _CU, _C, MON, WED, "engine", "correction: the readings as they are now do not show it"),
    ]
    _write(old, {"state": _C, "onset": MON, "ended": MON, "times": 1}, journal)
    migrate(old)
    assert _known(old, TUE + HOUR, "state", "ended_at", at=MON + HOUR) == [(_CU, TUE)]
    assert _known(old, WED, "state", "ended_at") == [(_C, MON)]
    assert _known(old, WED, "state", at=MON + HOUR) == []
