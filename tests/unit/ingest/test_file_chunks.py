"""A file in chunks is the file as a whole, wherever it is cut and wherever reading goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ingest import files
from ingest.file_rows import FileChunk
from ingest.filemap import FileError, FileMap, parse_map
from ingest.files import RefusedValue, read_chunks, read_readings

HEADER = "meter_id,company,ts,flow,seq,status"
GOOD = ["m1,c1,1700000000000,1.5,7,", "m2,,2024-01-01 08:00,2,,low_oil", "m1,c2,1700000001000,3,8,surprise"]
BAD = [
    "m1,c1,1700000002000,abc,1,",  # no number
    "m1,c1,never,1,,",  # no time
    "m1,c1,1700000003000",  # too few values
    "m1,c1,1700000003000,1,1,,,",  # too many
    "",  # blank
    ",,,,,",  # blank too
    "m1,,1700000004000,,,",  # reports nothing
    "m 1,,1700000004000,1,,",  # no id
]
ROWS = st.lists(st.sampled_from(GOOD + BAD), max_size=40)

Row = tuple[Any, ...]


def _rows_of(chunks: list[FileChunk]) -> tuple[list[Row], list[RefusedValue]]:
    """Readings by line with everything that is known of each, free of how a chunk numbers meters."""
    found: list[Row] = []
    for chunk in chunks:
        r = chunk.readings
        meters = [chunk.meters.distinct[at] for at in chunk.meters.at]
        assert meters == [chunk.meters.distinct[at] for at in r.meter_key]
        columns = [getattr(r, name) for name in r.__dataclass_fields__ if name != "meter_key"]
        values = np.nan_to_num(np.column_stack([np.asarray(c, dtype=np.float64) for c in columns]), nan=-7e7)
        found += zip(chunk.line.tolist(), meters, map(tuple, values.tolist()), strict=True)
    return found, [refused for chunk in chunks for refused in chunk.refused]


def _all(path: Path, rows: int, file_map: FileMap | None = None, after_line: int = 0) -> list[FileChunk]:
    return list(read_chunks(path, file_map, rows=rows, after_line=after_line))


def _check_any_cut(path: Path, rows: int) -> None:
    whole = _rows_of(_all(path, 10_000))
    chunks = _all(path, rows)
    assert _rows_of(chunks) == whole
    together = read_readings(path)
    assert together.refused == whole[1]
    assert [together.meter_ids[key] for key in together.readings.meter_key] == [row[1] for row in whole[0]]
    for at, chunk in enumerate(chunks):
        going_on = _rows_of(_all(path, rows + 1, after_line=chunk.through_line))
        assert going_on == _rows_of(chunks[at + 1 :])
    assert [c.share for c in chunks] == sorted(c.share for c in chunks)
    assert not chunks or chunks[-1].share == 1.0


@settings(max_examples=50)
@given(
    ROWS,
    st.integers(1, 12),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from([0, 1]),
)
def test_a_csv_is_the_same_in_chunks_of_any_size(
    rows: list[str], size: int, end: str, mark: str, last_end: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.csv"
        text = mark + end.join([HEADER, *rows]) + end * last_end
        path.write_bytes(text.encode())
        _check_any_cut(path, size)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 12), st.integers(1, 9))
def test_a_parquet_is_the_same_in_chunks_of_any_size(kinds: list[int], size: int, group: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        table = {
            "meter_id": pa.array([None if kind == 4 else f"m{kind}" for kind in kinds], pa.string()),
            "ts": pa.array([1_700_000_000_000 + at for at in range(len(kinds))], pa.int64()),
            "flow": pa.array([None if kind == 3 else float(kind) for kind in kinds], pa.float64()),
            # A float that is no whole number is wrong, and its neighbours are not.
            "seq": pa.array([1.5 if kind == 5 else float(kind) * 1e6 for kind in kinds], pa.float64()),
        }
        parquet.write_table(pa.table(table), path, row_group_size=group)
        _check_any_cut(path, size)


@pytest.mark.parametrize(
    ("encoding", "end"), [("gb18030", "\n"), ("utf-16", "\r\n"), ("utf-8-sig", "\n"), ("utf-8", "\r")]
)
def test_other_encodings_and_line_ends_can_be_cut_too(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(
        end.join(["表号,时间,流量", *(f"m1,2024-01-0{n} 08:00,{n}" for n in range(1, 8))]).encode(encoding)
    )
    file_map = parse_map(
        f'encoding = "{encoding}"\n[columns]\nmeter_id = "表号"\nts = "时间"\nflow = "流量"\n'
    )
    chunks = _all(path, 3, file_map)
    assert [chunk.line.tolist() for chunk in chunks] == [[2, 3, 4], [5, 6, 7], [8]]
    assert [chunk.line.tolist() for chunk in _all(path, 3, file_map, after_line=4)] == [[5, 6, 7], [8]]


def test_a_value_in_quotes_may_hold_line_ends_and_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(
        'meter_id,note,ts,flow\nm1,"two\nlines",1700000000000,1\nm1,one,1700000001000,2\nm1,,x,3\n', "utf-8"
    )
    chunks = _all(path, 1)
    assert [chunk.readings.flow_m3h.tolist() for chunk in chunks] == [[1], [2], []]
    assert chunks[2].refused[0].line == 5


def test_a_file_without_line_ends_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(b"meter_id,ts,flow\n" + b"m1 " * 1_000_000)
    with pytest.raises(FileError, match="a line after line 1 is longer than 1048576 bytes"):
        _all(path, 10)


CUMULATE = '[columns]\nmeter_id = "who"\nts = "ts"\n[cumulate]\nvolume = "used"\n'


def test_running_sums_go_over_the_whole_file_in_chunks_too(tmp_path: Path) -> None:
    path = tmp_path / "hourly.csv"
    used = ["00:00,a,1.5", "03:00,a,4", "00:00,b,10", "02:00,b,oops", "01:00,a,2", "02:00,b,5"]
    path.write_text("ts,who,used\n" + "".join(f"2024-01-01 {row}\n" for row in used), "utf-8")
    file_map = parse_map(CUMULATE)
    whole = _rows_of(_all(path, 100, file_map))
    chunks = _all(path, 2, file_map)
    assert _rows_of(chunks) == whole
    assert [chunk.through_line for chunk in chunks] == [2, 4, 6, 7]
    assert np.concatenate([c.readings.volume_m3 for c in chunks]).tolist() == [1.5, 7.5, 10, 3.5, 15]
    assert _rows_of(_all(path, 2, file_map, after_line=4))[0] == [row for row in whole[0] if row[0] > 4]


def test_running_sums_of_a_file_that_is_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_CUMULATED_ROWS", 3)
    path = tmp_path / "hourly.csv"
    path.write_text("ts,who,used\n" + "2024-01-01 00:00,a,1\n" * 4, "utf-8")
    with pytest.raises(FileError, match=r"more than 3 rows.*\[cumulate\].*split the file by meter"):
        _all(path, 2, parse_map(CUMULATE))


def test_a_chunk_takes_from_the_file_only_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write("meter_id,ts,flow\n")
        out.writelines(f"m1,{1_700_000_000_000 + at},1\n" for at in range(50_000))
    shares = [chunk.share for chunk in read_chunks(path, rows=1000)]
    assert len(shares) == 50
    assert shares[0] < 0.05
    assert np.diff(shares).max() < 0.05
