"""Local times of a file where clocks are put forward and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.files import read_chunks, read_readings
from ingest.repeated_hours import repeats_hours

MADRID = "Europe/Madrid"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[str]], Path]:
    def write(rows: list[str]) -> Path:
        path = tmp_path / "readings.csv"
        path.write_text("\n".join(["meter_id,ts,received,volume", *rows]) + "\n", encoding="utf-8")
        return path

    return write


def _utc(path: Path, column: str = "device_time_us") -> list[str]:
    """Give the times of a file's readings, in UTC, day left out."""
    times = getattr(read_readings(path, tz=MADRID).readings, column).tolist()
    return [f"{datetime.fromtimestamp(us / 1e6, UTC):%H:%M}" for us in times]


def _october(*rows: str) -> list[str]:
    """Make rows of "meter clock volume" in the night in which 03:00 in Madrid becomes 02:00."""
    return [f"{m},2023-10-29 {clock},,{volume}" for m, clock, volume in (row.split() for row in rows)]


def test_the_second_hour_begins_where_the_rows_go_back(write):
    rows = _october("a 01:30 1", "a 02:00 2", "a 02:30 3", "a 02:00 4", "a 02:30 5", "a 03:00 6")
    assert _utc(write(rows)) == ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    # The newest first: the second hour comes before the first.
    assert _utc(write(rows[::-1])) == ["02:00", "01:30", "01:00", "00:30", "00:00", "23:30"]


def test_an_hourly_reporter_shows_one_time_twice(write):
    rows = _october("a 01:00 1", "a 02:00 2", "a 02:00 3", "a 03:00 4")
    assert _utc(write(rows)) == ["23:00", "00:00", "01:00", "02:00"]
    assert _utc(write(rows[::-1])) == ["02:00", "01:00", "00:00", "23:00"]


def test_each_meter_goes_back_by_itself(write):
    rows = _october("a 01:50 1", "b 01:50 1", "a 02:20 2", "b 02:40 2", "a 02:10 3", "b 02:50 3", "a 03:00 4")
    assert _utc(write(rows)) == ["23:50", "23:50", "00:20", "00:40", "01:10", "00:50", "02:00"]


def test_without_a_turn_the_first_hour_is_meant(write):
    assert _utc(write(_october("a 01:00 1", "a 02:30 2", "a 03:30 3"))) == ["23:00", "00:30", "02:30"]


def test_a_row_that_is_there_twice_is_no_turn(write):
    rows = _october("a 01:00 1", "a 02:10 2", "a 02:10 2", "a 02:40 3", "a 02:20 4", "a 03:00 5")
    assert _utc(write(rows)) == ["23:00", "00:10", "00:10", "00:40", "01:20", "02:00"]


def test_a_tangled_hour_is_refused(write):
    rows = _october("a 01:00 1", "a 02:10 2", "a 02:40 3", "a 02:20 4", "a 02:50 5", "a 02:30 6", "a 03:00 7")
    found = read_readings(write(rows), tz=MADRID)
    assert found.readings.volume_m3.tolist() == [1, 7]
    assert [refused.line for refused in found.refused] == [3, 4, 5, 6, 7]
    assert "showed twice in Europe/Madrid" in found.refused[0].reason


def test_a_time_that_never_was_is_refused(write):
    found = read_readings(write(["a,2023-03-26 01:59,,1", "a,2023-03-26 02:00,,2", "a,2023-03-26 02:59,,3",
                                 "a,2023-03-26 03:00,,4"]), tz=MADRID)  # fmt: skip
    assert found.readings.volume_m3.tolist() == [1, 4]
    assert [(refused.line, refused.field) for refused in found.refused] == [(3, "ts"), (4, "ts")]
    assert "skipped in Europe/Madrid" in found.refused[0].reason


def test_an_offset_says_which(write):
    rows = [
        "a,2023-10-29T02:30:00+01:00,,1",
        "a,2023-10-29T02:10:00+02:00,,2",
        "a,2023-10-29T02:20:00+01:00,,3",
    ]
    assert _utc(write(rows)) == ["01:30", "00:10", "01:20"]


def test_an_arrival_is_not_before_its_reading(write):
    rows = ["a,2023-10-29 02:00,2023-10-29 02:01,1", "a,2023-10-29 02:00,2023-10-29 02:01,2",
            "a,2023-10-29 02:50,2023-10-29 02:05,3", "a,2023-10-29 04:00,,4"]  # fmt: skip
    assert _utc(write(rows)) == ["00:00", "01:00", "01:50", "03:00"]
    # The third one's clock is ahead of any arrival; the later one is the nearer.
    assert _utc(write(rows), "received_us") == ["00:01", "01:01", "01:05", "03:00"]


@pytest.mark.parametrize("descending", [False, True])
def test_chunks_know_what_stands_in_others(write, descending):
    rows = _october(*(f"{m} {clock} {at}" for at, clock in enumerate(
        ["01:30", "02:10", "02:40", "02:10", "02:40", "03:10"]) for m in "ab"))  # fmt: skip
    path = write(rows[::-1] if descending else rows)
    whole = read_readings(path, tz=MADRID).readings.device_time_us.tolist()
    assert len(set(whole)) == 6
    for size in range(1, 8):
        chunks = list(read_chunks(path, tz=MADRID, rows=size))
        assert [us for chunk in chunks for us in chunk.readings.device_time_us.tolist()] == whole
        going_on = read_chunks(path, tz=MADRID, rows=size, after_line=1 + size)
        assert [us for chunk in going_on for us in chunk.readings.device_time_us.tolist()] == whole[size:]


def test_which_clocks_are_put_back():
    assert [repeats_hours(ZoneInfo(name)) for name in ("Asia/Shanghai", "UTC", "Asia/Kolkata")] == [False] * 3
    assert repeats_hours(ZoneInfo(MADRID))
    assert repeats_hours(ZoneInfo("Australia/Lord_Howe"))
