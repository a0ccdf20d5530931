"""The database room on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import psycopg2
import pytest

from fleet.readings import ReadingBatch
from storage.database import Database
from storage.exceptions import (
    DatabaseUnavailableError,
    MigrationError,
    RejectedDataError,
    StorageError,
    UniqueViolationError,
)
from storage.migrate import Layout, is_migrated, migrate, migrations
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions
from storage.readings import (
    FILLED_READING_COLUMN_LIST,
    READING_COLUMN_LIST,
    decode_readings,
    write_readings,
)
from storage.registry import load_meters, upsert_meters

_T0 = 1_795_147_200_000_000  # 2026-11-20 04:00 UTC


def _batch(n: int, **columns: object) -> ReadingBatch:
    times = _T0 + np.arange(n) * 1_000_000
    return ReadingBatch.build(
        n, meter_key=np.ones(n), device_time_us=times, seq=np.arange(n), received_us=times, **columns
    )


def _stored(database: Database, columns: str = READING_COLUMN_LIST) -> ReadingBatch:
    with database.transaction() as transaction:
        data = transaction.copy_out(
            f"COPY (SELECT {columns} FROM reading ORDER BY 1, 2, 3) TO STDOUT (FORMAT binary)"
        )
    return decode_readings(data)


def test_readings_come_back_as_they_were_written_with_null_for_what_was_not_reported(
    database: Database,
) -> None:
    batch = _batch(
        4,
        flow_m3h=[1.5, np.nan, 0.0, -2.25],
        volume_m3=[np.nan, 7.0, 8.0, np.nan],
        valve=[0, 3, -1, 1],
        boot=[7, -1, -1, 2**62],
        status_bits=[0, -1, 5, 1 << 40],
    )
    with database.transaction() as transaction:
        assert write_readings(transaction, batch).inserted == 4
    found = _stored(database)
    for name in ReadingBatch.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(batch, name), err_msg=name)


def test_a_server_that_falls_silent_is_given_up_unless_the_url_says_otherwise(database: Database) -> None:
    with database.session() as connection:
        said = connection.info.dsn_parameters
    assert (said["keepalives_idle"], said["tcp_user_timeout"]) == ("20", "60000")
    with Database(
        f"{database.url}{'&' if '?' in database.url else '?'}tcp_user_timeout=5"
    ).session() as connection:
        assert connection.info.dsn_parameters["tcp_user_timeout"] == "5"


def test_whole_arrays_are_parameters_of_a_statement(database: Database) -> None:
    whole = np.array([-1, 2**62, 0], dtype=np.int64)
    with database.transaction() as transaction:
        sql = "SELECT array_agg(v) AS v FROM unnest(%(values)s::bigint[]) AS v"
        assert transaction.row(sql, {"values": whole}) == {"v": whole.tolist()}
        assert transaction.row(sql, {"values": whole[:0]}) == {"v": None}
        with pytest.raises(TypeError, match="float64"):
            transaction.row(sql, {"values": np.array([1.5])})


def test_absent_is_null_and_never_zero(database: Database) -> None:
    with database.transaction() as transaction:
        write_readings(transaction, _batch(1, flow_m3h=[0.0]))
        row = transaction.row("SELECT * FROM reading")
    assert row is not None
    assert row["flow_m3h"] == 0.0
    assert {name for name, value in row.items() if value is None} == {
        "boot", "volume_m3", "std_flow_m3h", "std_volume_m3", "pressure_kpa", "temperature_c",
        "balance", "battery_v", "battery2_v", "battery_days", "valve", "status_bits",
    }  # fmt: skip


def test_a_redelivered_batch_is_counted_and_not_stored_twice(database: Database) -> None:
    with database.transaction() as transaction:
        write_readings(transaction, _batch(3))
    with database.transaction() as transaction:
        written = write_readings(transaction, _batch(5))
    assert (written.inserted, written.duplicates) == (2, 3)
    assert len(_stored(database)) == 5


def test_the_same_reading_twice_in_one_batch_is_stored_once(database: Database) -> None:
    batch = ReadingBatch.concatenate([_batch(2), _batch(2)])
    with database.transaction() as transaction:
        written = write_readings(transaction, batch)
    assert (written.inserted, written.duplicates) == (2, 2)


def test_other_content_under_a_known_key_is_kept_apart_once(database: Database) -> None:
    for _ in range(2):
        with database.transaction() as transaction:
            write_readings(transaction, _batch(3, flow_m3h=[1.0, 2.0, 3.0]))
        with database.transaction() as transaction:
            written = write_readings(transaction, _batch(3, flow_m3h=[1.0, 99.0, np.nan], valve=[-1, 2, -1]))
        assert (written.inserted, written.duplicates, written.conflicts) == (0, 1, 2)
    np.testing.assert_array_equal(_stored(database).flow_m3h, [1.0, 2.0, 3.0])
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT seq, content FROM reading_conflict ORDER BY device_time")
    assert [row["content"] for row in rows] == [{"flow_m3h": 99.0, "valve": 2}, {}]


def test_two_contents_under_one_new_key_are_one_reading_and_one_conflict(database: Database) -> None:
    batch = ReadingBatch.concatenate([_batch(1, flow_m3h=[1.0]), _batch(1, flow_m3h=[2.0])])
    with database.transaction() as transaction:
        written = write_readings(transaction, batch)
    assert (written.inserted, written.duplicates, written.conflicts) == (1, 0, 1)


@pytest.mark.parametrize("known", [0, 2], ids=["straight", "through the staging table"])
def test_a_database_that_loses_rows_in_silence_is_noticed(database: Database, known: int) -> None:
    with database.transaction() as transaction:
        write_readings(transaction, _batch(known))
        transaction.execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        )
        transaction.execute(
            "CREATE TRIGGER swallow BEFORE INSERT ON reading FOR EACH ROW "
            "WHEN (new.seq IS NOT NULL AND new.device_time = "
            f"timestamptz 'epoch' + {_batch(4).device_time_us[3]} * interval '1 microsecond') "
            "EXECUTE FUNCTION swallow()"
        )
    with (
        pytest.raises(StorageError, match="the counts do not add up"),
        database.transaction() as transaction,
    ):
        write_readings(transaction, _batch(5))
    assert len(_stored(database)) == known


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.transaction() as transaction:
            write_readings(transaction, _batch(3))
            msg = "power cut"
            raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="power cut"):
        write_and_fail()
    assert len(_stored(database)) == 0


def test_migrating_twice_applies_nothing_the_second_time(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    assert not is_migrated(database)
    assert migrate(database) == [
        "0001_house",
        "0002_reading",
        "0003_ingest",
        "0004_import",
        "0005_subscription",
        "0006_heartbeat_instance",
        "0007_import_conflicts",
        "0008_rollups",
        "0008_rollups_upkeep",
        "0009_time",
        "0010_policy",
        "0011_slow",
        "0012_newest_and_known",
        "0013_work_until",
    ]
    assert is_migrated(database)
    assert migrate(database) == []
    database.close()


def test_a_heartbeat_of_before_there_were_instances_is_kept_without_a_name(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(empty_database_url)
    older = [m for m in migrations(Layout.PLAIN) if m.version < "0006"]
    with monkeypatch.context() as patch:
        patch.setattr("storage.migrate.migrations", lambda _layout: older)
        migrate(database)
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO service_heartbeat VALUES ('ingest', now(), now(), '{}')")
    assert migrate(database) == [m.version for m in migrations(Layout.PLAIN) if m.version >= "0006"]
    with database.transaction() as transaction:
        beat = "INSERT INTO service_heartbeat (service, instance, started_at, beat_at, figures) "
        transaction.execute(beat + "VALUES ('ingest', 'north', now(), now(), '{}')")
        rows = transaction.rows("SELECT instance FROM service_heartbeat ORDER BY instance")
    assert [row["instance"] for row in rows] == ["", "north"]
    database.close()


def test_a_half_applied_migration_is_taken_up_again(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    migrate(database)
    with database.transaction() as transaction:
        transaction.execute("DROP TABLE reading")
        transaction.execute("UPDATE schema_migration SET finished_at = NULL WHERE version = '0002_reading'")
    assert not is_migrated(database)
    assert migrate(database) == ["0002_reading"]
    assert len(_stored(database)) == 0
    database.close()


def test_a_migration_changed_after_it_was_applied_is_refused(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("UPDATE schema_migration SET digest = 'other' WHERE version = '0001_house'")
    with pytest.raises(MigrationError, match="0001_house was changed"):
        migrate(database)


def test_both_layouts_have_the_same_versions() -> None:
    assert [m.version for m in migrations(Layout.PLAIN)] == [m.version for m in migrations(Layout.TIMESCALE)]


def test_partitions_are_made_ahead_and_only_once(database: Database) -> None:
    with database.transaction() as transaction:
        row = transaction.row(load_queries("storage")["table_is_partitioned"], {"table": "reading"})
        if row is None or not row["partitioned"]:
            pytest.skip("TimescaleDB makes its chunks by itself")
        made = ensure_partitions(transaction, datetime(2031, 1, 15, tzinfo=UTC))
        assert made == [
            f"reading_{m}" for m in ("2030_10", "2030_11", "2030_12", "2031_01", "2031_02", "2031_03")
        ]
        assert ensure_partitions(transaction, datetime(2031, 1, 15, tzinfo=UTC)) == []


def test_a_meter_comes_back_from_the_registry_as_it_went_in(database: Database, make_meter) -> None:
    meters = [
        make_meter("A", prepaid=True, oil_filled_on=datetime(2026, 1, 1, tzinfo=UTC).date()),
        make_meter("B"),
    ]
    with database.transaction() as transaction:
        assert upsert_meters(transaction, meters) == 2
        assert [found.meter for found in load_meters(transaction)] == meters


def test_registering_a_known_meter_again_keeps_its_number(database: Database, make_meter) -> None:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("A"), make_meter("B")])
        before = {found.meter.meter_id: found.meter_key for found in load_meters(transaction)}
        upsert_meters(transaction, [make_meter("B", qmax=250.0)])
        after = {found.meter.meter_id: found for found in load_meters(transaction)}
    assert {meter_id: found.meter_key for meter_id, found in after.items()} == before
    assert after["B"].meter.qmax == 250.0


def test_a_database_that_is_not_there_is_one_clear_error() -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none", connect_timeout_s=1)
    with pytest.raises(DatabaseUnavailableError, match="refused"), database.transaction():
        pytest.fail("connected to nothing")


def test_a_lost_connection_is_replaced_and_not_handed_out_again(database: Database, server_url: str) -> None:
    def lose_the_connection() -> None:
        with database.transaction() as transaction:
            row = transaction.row("SELECT pg_backend_pid() AS pid")
            assert row is not None
            administrator = psycopg2.connect(server_url)
            administrator.cursor().execute("SELECT pg_terminate_backend(%s)", [row["pid"]])
            administrator.close()
            transaction.row("SELECT pg_sleep(10)")

    with pytest.raises(DatabaseUnavailableError):
        lose_the_connection()
    with database.transaction() as transaction:
        assert transaction.row("SELECT 1 AS one") == {"one": 1}


def test_a_pool_with_no_connection_left_is_a_database_that_is_not_there(database_url: str) -> None:
    database = Database(database_url, pool_size=1, pool_timeout_s=0.05)

    def borrow_twice() -> None:
        with database.transaction(), database.transaction():
            pytest.fail("the pool gave more than it has")

    with pytest.raises(DatabaseUnavailableError, match="pool is busy"):
        borrow_twice()
    database.close()


def test_a_violated_key_names_its_constraint(database: Database) -> None:
    def insert_twice() -> None:
        with database.transaction() as transaction:
            transaction.execute("INSERT INTO company (code) VALUES ('x'), ('x')")

    with pytest.raises(UniqueViolationError) as caught:
        insert_twice()
    assert caught.value.constraint_name == "company_pkey"


def test_what_is_beyond_the_servers_limits_is_no_matter_of_waiting(database: Database) -> None:
    with pytest.raises(RejectedDataError, match="too large"), database.transaction() as transaction:
        transaction.row("SELECT repeat('ab', 1000000000)")


def test_filled_columns_say_the_same_in_rows_of_one_width(database):
    """Each reading reports something else than its neighbours."""
    some = np.arange(6) % 3
    batch = _batch(
        6,
        flow_m3h=np.where(some == 0, np.nan, 3.5),
        battery_v=np.where(some == 1, np.nan, 3.6),
        valve=np.where(some == 2, -1, 1),
        status_bits=np.where(some == 0, -1, 5),
    )
    with database.transaction() as transaction:
        write_readings(transaction, batch)
    plain, filled = _stored(database), _stored(database, FILLED_READING_COLUMN_LIST)
    for name in batch.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(filled, name), getattr(plain, name), err_msg=name)
