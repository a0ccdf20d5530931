"""A file into a real database: once, whatever breaks it off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.meters import Meter
from ingest.bulk_import import STEPS, FileImport, ImportSource
from ingest.exceptions import ConcurrentImportError
from ingest.file_piece import RefusedValue
from ingest.filemap import parse_map
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError, SerializationError
from storage.registry import upsert_meters

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
ROWS = 10


class PowerCutError(Exception):
    """Stands in for SIGKILL: what is not committed is gone."""


@pytest.fixture(autouse=True)
def _registry(database: Database, make_meter: Callable[..., Meter]) -> None:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1"), make_meter("M2", company="south")])


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., ImportSource]:
    def make(*rows: str, header: str = "meter_id,company,ts,flow", **how: Any) -> ImportSource:
        path = tmp_path / "readings.csv"
        path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
        return ImportSource(path=path, **{"chunk_rows": 3, **how})

    return make


@pytest.fixture
def ten(source: Callable[..., ImportSource]) -> ImportSource:
    return source(*(f"M{1 + n % 2},,2026-11-19T{n:02}:00:00Z,{n}" for n in range(ROWS)))


def _import(
    database: Database,
    source: ImportSource,
    failpoint: Callable[[str], None] = lambda _step: None,
    now: datetime = NOW,
) -> tuple[FileImport, list[RefusedValue]]:
    refused: list[RefusedValue] = []
    work = FileImport(database, source, source.identify(), clock=lambda: now, failpoint=failpoint)
    for _ in work.chunks(refused.extend):
        pass
    return work, refused


def _counts(work: FileImport) -> tuple[int, int, int]:
    return work.progress.inserted, work.progress.duplicates, work.progress.refused


def _rows(database: Database, sql: str) -> Sequence[dict[str, Any]]:
    with database.transaction() as transaction:
        return transaction.rows(sql)


def _flows(database: Database) -> list[float]:
    return [row["flow_m3h"] for row in _rows(database, "SELECT flow_m3h FROM reading ORDER BY device_time")]


def test_each_chunk_leaves_one_row_of_work_and_the_whole_is_stored(
    database: Database, ten: ImportSource
) -> None:
    work, refused = _import(database, ten)
    assert (_counts(work), refused) == ((ROWS, 0, 0), [])
    assert _flows(database) == list(range(ROWS))
    works = _rows(database, "SELECT meter_keys, since FROM dirty_work ORDER BY dirty_work_id")
    assert [len(row["meter_keys"]) for row in works] == [2, 2, 2, 1]
    assert works[1]["since"] == [datetime(2026, 11, 19, 4, tzinfo=UTC), datetime(2026, 11, 19, 3, tzinfo=UTC)]
    (progress,) = _rows(database, "SELECT * FROM import_progress")
    assert (progress["through_line"], progress["finished_at"]) == (ROWS + 1, NOW)


def test_a_whole_second_run_changes_nothing(database: Database, ten: ImportSource) -> None:
    _import(database, ten)
    before = (
        _rows(database, "SELECT * FROM reading ORDER BY 1, 2"),
        _rows(database, "SELECT * FROM dirty_work"),
    )
    again, _ = _import(database, ten, now=NOW + timedelta(days=1))
    assert _counts(again) == (0, ROWS, 0)
    after = (
        _rows(database, "SELECT * FROM reading ORDER BY 1, 2"),
        _rows(database, "SELECT * FROM dirty_work"),
    )
    assert after == before


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_a_run_that_is_killed_goes_on_after_its_last_committed_chunk(
    database: Database, ten: ImportSource, step: str, chunk: int
) -> None:
    passed: list[str] = []

    def power_cut(at: str) -> None:
        passed.append(at)
        if at == step and passed.count(step) == chunk:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        _import(database, ten, power_cut)
    committed = chunk if step == "committed" else chunk - 1
    assert _flows(database) == list(range(min(3 * committed, ROWS)))
    assert len(_rows(database, "SELECT 1 FROM dirty_work")) == committed

    passed.clear()
    work, _ = _import(database, ten, passed.append)
    assert passed.count("committed") == 4 - committed
    assert _counts(work) == (ROWS, 0, 0), "over both runs"
    assert _flows(database) == list(range(ROWS))
    assert len(_rows(database, "SELECT 1 FROM dirty_work")) == 4


def test_a_lost_connection_is_an_error_and_the_next_run_goes_on(
    database: Database, ten: ImportSource
) -> None:
    passed: list[str] = []

    def lose(at: str) -> None:
        passed.append(at)
        if passed.count("readings_written") == 2 and at == "work_left":
            other = Database(database.url)
            with other.transaction() as transaction:
                transaction.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            other.close()

    with pytest.raises(DatabaseUnavailableError):
        _import(database, ten, lose)
    assert len(_flows(database)) == 3
    work, _ = _import(database, ten)
    assert _counts(work) == (ROWS, 0, 0)


def test_a_chunk_that_met_another_writer_is_written_again(database: Database, ten: ImportSource) -> None:
    passed: list[str] = []

    def deadlock(at: str) -> None:
        passed.append(at)
        if passed.count("readings_written") == 1 and at == "readings_written":
            raise SerializationError

    work, _ = _import(database, ten, deadlock)
    assert _counts(work) == (ROWS, 0, 0)
    assert passed.count("told") == 4


def test_of_two_runs_at_once_one_ends_and_nothing_is_counted_twice(
    database: Database, ten: ImportSource
) -> None:
    first = FileImport(database, ten, ten.identify(), clock=lambda: NOW)
    second = FileImport(database, ten, ten.identify(), clock=lambda: NOW)
    steps = first.chunks()
    next(steps)
    with pytest.raises(ConcurrentImportError, match="another process imports this file"):
        next(second.chunks())
    for _ in steps:
        pass
    assert _counts(first) == (ROWS, 0, 0)
    assert len(_flows(database)) == ROWS


def test_refused_rows_are_told_by_line_and_the_good_ones_are_stored(
    database: Database, source: Callable[..., ImportSource]
) -> None:
    future = (NOW + timedelta(minutes=11)).isoformat()
    soon = (NOW + timedelta(minutes=9)).isoformat()
    work, refused = _import(
        database,
        source(
            f"M1,north,{soon},1",
            f"M1,north,{future},2",
            "M9,north,2026-11-01T00:00:00Z,3",
            "M2,north,2026-11-01T00:00:00Z,4",
            "M2,south,2026-11-01T00:00:00Z,5",
            "M1,,1989-12-31T23:59:59Z,6",
            "M1,,2026-11-01T00:00:00Z,seven",
            "M9,,1985-01-01T00:00:00Z,8",
        ),
    )
    assert [str(wrong) for wrong in refused] == [
        "line 3, ts: is in the future",
        "line 4, meter_id: M9 is not registered",
        "line 5, company: M2 belongs to another company",
        "line 7, ts: is before 1990",
        "line 8, flow: is not a finite number of at most 1e+13",
        "line 9, meter_id: M9 is not registered",
        "line 9, ts: is before 1990",
    ]
    assert _counts(work) == (2, 0, 6)
    assert _flows(database) == [5, 1]


def test_an_arrival_in_the_future_is_refused(database: Database, source: Callable[..., ImportSource]) -> None:
    row = "M1,2026-11-01T00:00:00Z,2027-11-01T00:00:00Z,1"
    _, refused = _import(database, source(row, header="meter_id,ts,received,flow"))
    assert [str(wrong) for wrong in refused] == ["line 2, received: is in the future"]


def test_old_times_get_their_partitions(database: Database, source: Callable[..., ImportSource]) -> None:
    times = ["1990-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z", "2012-02-29T12:00:00Z"]
    work, _ = _import(database, source(*(f"M1,,{when},{n}" for n, when in enumerate(times))))
    assert _counts(work) == (4, 0, 0)
    assert _flows(database) == [0, 1, 2, 3]


def test_rows_that_repeat_are_known_within_a_chunk_across_chunks_and_from_before(
    database: Database, source: Callable[..., ImportSource]
) -> None:
    _import(database, source("M1,,2026-11-01T00:00:00Z,1"))
    times = [0, 1, 1, 2, 1]
    work, _ = _import(
        database, source(*(f"M1,,2026-11-01T0{hour}:00:00Z,{5 + n}" for n, hour in enumerate(times)))
    )
    assert _counts(work) == (2, 0, 0)
    assert work.progress.conflicts == 3
    assert _flows(database) == [1, 6, 8], "the first of each stays"


def test_meters_that_were_registered_meanwhile_are_taken_by_a_second_run(
    database: Database, source: Callable[..., ImportSource], make_meter: Callable[..., Meter]
) -> None:
    rows = source("M1,,2026-11-01T00:00:00Z,1", "M3,,2026-11-01T01:00:00Z,2")
    assert _counts(_import(database, rows)[0]) == (1, 0, 1)
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M3")])
    assert _counts(_import(database, rows)[0]) == (1, 1, 0)
    assert _flows(database) == [1, 2]


def test_the_same_file_through_another_map_or_zone_is_another_import(ten: ImportSource) -> None:
    plain = ten.identify()
    mapped = ImportSource(path=ten.path, file_map=parse_map('[columns]\nmeter_id = "meter_id"\nts = "ts"'))
    zoned = ImportSource(path=ten.path, tz="UTC")
    assert len({plain, mapped.identify(), zoned.identify()}) == 3
    assert len({one.identify().file_digest for one in (ten, mapped, zoned)}) == 1
    assert ImportSource(path=ten.path, tz="Asia/Shanghai").identify() == plain


def test_running_sums_go_on_where_a_run_was_killed(
    database: Database, source: Callable[..., ImportSource]
) -> None:
    file_map = parse_map('[columns]\nmeter_id = "who"\nts = "ts"\n[cumulate]\nvolume = "used"\n')
    # The newest first, as many exports are.
    rows = [f"M1,2026-11-01T0{9 - n}:00:00Z,{n}" for n in range(7)]
    hourly = source(*rows, header="who,ts,used", file_map=file_map)

    def power_cut(step: str) -> None:
        if step == "committed":
            raise PowerCutError

    with pytest.raises(PowerCutError):
        _import(database, hourly, power_cut)
    work, _ = _import(database, hourly)
    assert _counts(work) == (7, 0, 0)
    stored = _rows(database, "SELECT volume_m3 FROM reading ORDER BY device_time")
    assert [row["volume_m3"] for row in stored] == [6, 11, 15, 18, 20, 21, 21]
