"""Whatever the pattern of NULLs: what is encoded is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.copy_codec import CopyColumn, decode_copy, encode_copy

_COLUMNS = (
    CopyColumn("key", "int4", nullable=False),
    CopyColumn("time", "timestamptz", nullable=False),
    CopyColumn("big", "int8"),
    CopyColumn("real", "float8"),
    CopyColumn("other", "float8"),
    CopyColumn("small", "int2"),
)
_REAL = st.one_of(st.just(float("nan")), st.floats(allow_nan=False))
_ROW = st.tuples(
    st.integers(0, 2**31 - 1), st.integers(0, 2**62), st.integers(-1, 2**63 - 1), _REAL, _REAL, st.integers(-1, 127)
)  # fmt: skip


def _arrays(rows: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    dtypes = (np.int32, np.int64, np.int64, np.float64, np.float64, np.int8)
    return {
        column.name: np.array([row[at] for row in rows], dtype=dtype)
        for at, (column, dtype) in enumerate(zip(_COLUMNS, dtypes, strict=True))
    }


@given(st.lists(_ROW, max_size=60))
def test_rows_survive_the_round_trip(rows: list[tuple[float, ...]]) -> None:
    arrays = _arrays(rows)
    found = decode_copy(_COLUMNS, encode_copy(_COLUMNS, arrays))
    # Rows leave grouped by their NULLs, so both sides are brought into one order.
    there, back = (np.lexsort([a[c.name] for c in reversed(_COLUMNS)]) for a in (arrays, found))
    for column in _COLUMNS:
        np.testing.assert_array_equal(
            arrays[column.name][there], found[column.name][back], err_msg=column.name
        )


def test_null_has_no_bytes() -> None:
    arrays = _arrays([(1, 0, -1, float("nan"), float("nan"), -1)])
    row = encode_copy(_COLUMNS, arrays)[19:-2]
    assert row.count(b"\xff\xff\xff\xff") == 4
    assert len(row) == 2 + 6 * 4 + 4 + 8


@pytest.mark.parametrize("data", [b"", b"no copy at all", encode_copy(_COLUMNS, _arrays([]))[:-1]])
def test_what_is_no_copy_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a complete binary COPY"):
        decode_copy(_COLUMNS, data)


def test_bytes_of_one_width_travel_as_they_are(database):
    columns = (CopyColumn("meter_key", "int4", nullable=False), CopyColumn("state", "bytea3", nullable=False))
    sent = {"meter_key": np.array([1, 2]), "state": np.array([b"\0a\xff", b"xyz"], dtype="V3")}
    with database.transaction() as transaction:
        transaction.execute("CREATE TEMPORARY TABLE kept (meter_key integer, state bytea)")
        transaction.copy_in("COPY kept FROM STDIN (FORMAT binary)", encode_copy(columns, sent))
        rows = transaction.rows("SELECT meter_key, state FROM kept ORDER BY meter_key")
        data = transaction.copy_out("COPY (SELECT * FROM kept ORDER BY meter_key) TO STDOUT (FORMAT binary)")
    assert [(row["meter_key"], bytes(row["state"])) for row in rows] == [(1, b"\0a\xff"), (2, b"xyz")]
    found = decode_copy(columns, data)
    assert found["state"].tobytes() == b"\0a\xffxyz"
    assert (
        decode_copy(columns, encode_copy(columns, {n: a[:0] for n, a in sent.items()}))["state"].dtype == "V3"
    )
