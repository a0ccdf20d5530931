"""The newest time that was evaluated in the fleet: noted by each cycle, for every engine's clock."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.database import Database
from storage.migrate import Layout, migrate, migrations
from storage.named_sql import load_queries
from storage.registry import load_meters, upsert_meters

HOUR = timedelta(hours=1)
_NEWEST = load_queries("alerts")["fleet_newest"]


def _arrive(story, key, device_time, arrived_at):
    batch = ReadingBatch.build(
        meter_key=np.array([key]),
        device_time_us=[to_us(device_time)],
        seq=[to_us(device_time)],
        received_us=[to_us(arrived_at)],
        flow_m3h=[50.0],
    )
    story.arrive_batch(batch, arrived_at)


def _newest(story):
    [row] = story.ask(_NEWEST)
    [state] = story.ask("SELECT max(evaluated_through) AS newest_at FROM meter_state")
    assert row["newest_at"] == state["newest_at"]
    return row["newest_at"]


def test_what_one_engine_evaluated_the_clock_of_another_one_knows(story, make_meter, now):
    """M1's last reading came late and is old; only other meters, in other blocks, show how old it is."""
    keys = story.register(make_meter("M1"), make_meter("M2"))
    other = Database(story.database.url)
    try:
        here, there = (
            Engine(story.database, meters_per_clock_block=1),
            Engine(other, meters_per_clock_block=1),
        )
        _arrive(story, keys["M1"], now, now + 9 * HOUR)
        here.run_once(now + 9 * HOUR)
        here.run_clock(now + 10 * HOUR)
        assert (_newest(story), story.alarms()) == (now, [])
        _arrive(story, keys["M2"], now + 10 * HOUR, now + 10 * HOUR)
        there.run_once(now + 10 * HOUR)
        # The engine that did not see it; and what it evaluates later is older.
        _arrive(story, keys["M2"], now + 8 * HOUR, now + 10 * HOUR)
        here.run_once(now + 10 * HOUR)
        assert _newest(story) == now + 10 * HOUR
        here.run_clock(now + 10 * HOUR)
        [alarm] = story.alarms()
        assert (alarm["check_code"], alarm["meter_key"]) == ("meter_silent", keys["M1"])
    finally:
        other.close()


@pytest.mark.parametrize("at", ["states_written", "work_removed"])
def test_a_cycle_that_fails_leaves_no_note(at, story, one_meter, now):
    def fail(step):
        if step == at:
            msg = "power cut"
            raise RuntimeError(msg)

    _arrive(story, one_meter, now, now)
    with pytest.raises(RuntimeError, match="power cut"):
        Engine(story.database, failpoint=fail).run_once(now)
    assert _newest(story) is None


def test_the_clock_does_not_read_every_state_to_know_it(story):
    plan = "\n".join(row["QUERY PLAN"] for row in story.ask("EXPLAIN " + _NEWEST))
    assert "evaluated_newest" in plan
    assert "meter_state" not in plan


def test_what_was_evaluated_before_the_migration_is_known(empty_database_url, make_meter, now, monkeypatch):
    database = Database(empty_database_url)
    older = [m for m in migrations(Layout.PLAIN) if m.version < "0012"]
    with monkeypatch.context() as patch:
        patch.setattr("storage.migrate.migrations", lambda _layout: older)
        migrate(database)
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1")])
        key = load_meters(transaction)[0].meter_key
        transaction.execute(
            "INSERT INTO meter_state VALUES (%(key)s, %(now)s, %(now)s, 0, '')", {"key": key, "now": now}
        )
    migrate(database)
    with database.transaction() as transaction:
        row = transaction.row(_NEWEST)
    database.close()
    assert row is not None
    assert row["newest_at"] == now
