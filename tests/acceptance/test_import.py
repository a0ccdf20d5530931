"""`meterwarden import` as a process: stored once, told what was refused, stopped and gone on with."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.bulk_import import CHUNK_ROWS
from storage.database import Database

_REGISTRY = (
    "meter_id,company,customer,customer_kind,reading_class,technology,g_size\n"
    "M1,north,Hotel,commercial,daily,roots,G100\n"
)
_ROWS = 80_000
_HOLD_THE_FOURTH_CHUNK = f"""
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.through_line > {3 * CHUNK_ROWS + 1} THEN PERFORM pg_advisory_xact_lock(4242); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold BEFORE UPDATE ON import_progress FOR EACH ROW EXECUTE FUNCTION hold()
"""
_WAITING = (
    "pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
)


def _register(processes: Any, database_url: str) -> None:
    path = processes.write("meters.csv", _REGISTRY)
    assert processes.run("registry", "import", path, database_url=database_url) == 0


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "long.csv"
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as out:
        out.write("meter_id,ts,flow\n")
        out.writelines(f"M1,{begin + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ},{n}\n" for n in range(_ROWS))
    return path


def test_a_file_is_stored_its_bad_rows_are_told_and_a_second_run_changes_nothing(
    processes: Any, database_url: str, count: Callable[[str], int], tmp_path: Path
) -> None:
    _register(processes, database_url)
    path = processes.write(
        "export.csv",
        "Meter,When,Q\nM1,2015-03-01 08:00,1\nM1,2015-03-01 09:00,oops\nM7,2015-03-01 09:00,2\nM1,2015-04-01 08:00,3\n",
    )
    file_map = processes.write("map.toml", '[columns]\nmeter_id = "Meter"\nts = "When"\nflow = "Q"\n')
    refusals = tmp_path / "refused.csv"
    command = ["import", path, "--map", file_map, "--tz", "Asia/Shanghai", "--refusals", str(refusals)]
    assert processes.run(*command, database_url=database_url) == 0
    said = processes.log("import").splitlines()
    assert "export.csv: line 4, meter_id: M7 is not registered" in said
    assert said[-1] == "export.csv: 4 rows, 2 stored, 0 known before, 2 refused"
    with refusals.open(encoding="utf-8", newline="") as lines:
        assert [(row["line"], row["field"]) for row in csv.DictReader(lines)] == [
            ("3", "flow"),
            ("4", "meter_id"),
        ]
    assert count("reading WHERE device_time = '2015-03-01T00:00:00Z'") == 1

    assert processes.run(*command, database_url=database_url) == 0
    assert (
        processes.log("import").splitlines()[-1]
        == "export.csv: 4 rows, nothing new, 2 known before, 2 refused"
    )
    assert (count("reading"), count("dirty_work")) == (2, 1)


@pytest.mark.parametrize(("number", "chunks"), [(signal.SIGKILL, 3), (signal.SIGTERM, 4), (signal.SIGINT, 4)])
def test_an_import_that_is_ended_goes_on_when_it_runs_again(
    processes: Any,
    database_url: str,
    database: Database,
    count: Callable[[str], int],
    until: Callable[..., None],
    long_file: Path,
    number: signal.Signals,
    chunks: int,
) -> None:
    _register(processes, database_url)
    with database.transaction() as transaction:
        transaction.execute(_HOLD_THE_FOURTH_CHUNK)
    with database.transaction() as transaction:
        transaction.execute("SELECT pg_advisory_xact_lock(4242)")
        running = processes.start("import", str(long_file), database_url=database_url)
        until(lambda: count(_WAITING) == 1)
        running.send_signal(number)
        if number == signal.SIGKILL:
            running.wait(30)
    code = running.wait(30)
    committed = f"line {chunks * CHUNK_ROWS + 1}"
    if number != signal.SIGKILL:
        assert code == 1
        said = f"stopped; long.csv is committed through {committed}, run the same command again to go on"
        assert processes.log("import").splitlines()[-1] == f"meterwarden: {said}"
    assert count("reading") == chunks * CHUNK_ROWS

    assert processes.run("import", str(long_file), database_url=database_url) == 0
    assert f"long.csv: going on after {committed}" in processes.log("import")
    summary = f"long.csv: {_ROWS} rows, {_ROWS} stored, 0 known before, 0 refused"
    assert processes.log("import").splitlines()[-1] == summary
    assert count("reading") == _ROWS


def test_an_import_without_its_database_or_with_an_unknown_zone_says_so(
    processes: Any, empty_database_url: str, tmp_path: Path
) -> None:
    path = processes.write("readings.csv", "meter_id,ts,flow\nM1,2026-01-01T00:00:00Z,1\n")
    assert processes.run("import", path, database_url=empty_database_url) == 1
    assert "the database is not migrated, run `meterwarden migrate`" in processes.log("import")
    assert processes.run("import", path, "--tz", "Mars/Phobos", database_url=empty_database_url) == 2
    assert "--tz: 'Mars/Phobos' is no time zone" in processes.log("import")
    assert processes.run("import", path, "--refusals", path, database_url=empty_database_url) == 2
    assert processes.run("import", str(tmp_path / "none.csv"), database_url=empty_database_url) == 2
    assert Path(path).read_text("utf-8").startswith("meter_id")
