"""Rows that end in bytes of their own length, through the database and back as whole columns."""

import numpy as np
import pytest

from storage.copy_arrays import decode_arrays
from storage.copy_codec import CopyColumn
from storage.copy_varied import encode_varied

_COLUMNS = (CopyColumn("key", "int4", nullable=False), CopyColumn("at", "timestamptz", nullable=False))
_WHOLE = (
    "COPY (SELECT string_agg(int4send(key), ''::bytea), string_agg(timestamptz_send(at), ''::bytea), "
    "string_agg(int4send(length(bytes)), ''::bytea), string_agg(bytes, ''::bytea) FROM varied) "
    "TO STDOUT (FORMAT binary)"
)
_KINDS = ("int4", "timestamptz", "int4", "bytea")


def test_rows_keep_their_order_and_columns_come_back_whole(database):
    arrays = {"key": np.array([5, 3, 9], np.int32), "at": np.array([1, 946_684_800_000_000, 1 << 50])}
    groups = [
        (np.array([1]), np.array([[7, 8, 9]], np.uint8)),
        (np.array([0, 2]), np.array([[1], [2]], np.uint8)),
    ]
    with database.transaction() as transaction:
        transaction.execute("CREATE TEMPORARY TABLE varied (key integer, at timestamptz, bytes bytea)")
        data = encode_varied(_COLUMNS, arrays, "bytes", groups)
        assert transaction.copy_in("COPY varied FROM STDIN (FORMAT binary)", data) == 3
        key, at, lengths, found = decode_arrays(_KINDS, transaction.copy_out(_WHOLE))
    assert key.tolist() == [5, 3, 9]
    assert at.tolist() == arrays["at"].tolist()
    assert lengths.tolist() == [1, 3, 1]
    assert found.tolist() == [1, 7, 8, 9, 2]


def test_no_rows_are_empty_columns(database):
    with database.transaction() as transaction:
        transaction.execute("CREATE TEMPORARY TABLE varied (key integer, at timestamptz, bytes bytea)")
        none = {"key": np.empty(0, np.int32), "at": np.empty(0, np.int64)}
        assert (
            transaction.copy_in(
                "COPY varied FROM STDIN (FORMAT binary)", encode_varied(_COLUMNS, none, "b", [])
            )
            == 0
        )
        assert [len(column) for column in decode_arrays(_KINDS, transaction.copy_out(_WHOLE))] == [0, 0, 0, 0]


def test_another_number_of_columns_is_refused(database):
    with database.transaction() as transaction:
        data = transaction.copy_out("COPY (SELECT int4send(1)) TO STDOUT (FORMAT binary)")
    with pytest.raises(ValueError, match="not a binary COPY of 2 columns"):
        decode_arrays(("int4", "int4"), data)
