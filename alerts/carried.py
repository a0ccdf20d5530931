"""Carried state of the checks, between the database's rows and one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.packed import STORED_LAYOUT, pack, unpack
from fleet.readings import ABSENT
from storage.copy_arrays import decode_arrays
from storage.copy_codec import CopyColumn
from storage.copy_varied import encode_varied
from storage.database import Transaction
from storage.named_sql import load_queries

_SQL = load_queries("alerts")

#: What `states_copy_out` gives, array by array.
_LOADED = ("int4", "timestamptz", "int2", "int4", "bytea")
#: What `states_stage_copy_in` takes, before the state itself.
SAVED_COLUMNS = (
    CopyColumn("meter_key", "int4", nullable=False),
    CopyColumn("evaluated_through", "timestamptz", nullable=False),
    CopyColumn("last_received_at", "timestamptz", nullable=False),
)


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """State of n meters as arrays of shape (n,), in the order of the meters asked for."""

    state: NDArray[np.void]
    #: Device time of the last evaluated reading, microseconds since 1970; ABSENT before the first.
    through_us: NDArray[np.int64]
    #: False where a state is stored that this program cannot read: the history has to be evaluated again.
    usable: NDArray[np.bool_]


def load_states(transaction: Transaction, meter_keys: NDArray[np.int32]) -> Carried:
    """Load the states of meters, sorted by number; a meter without one begins anew."""
    return decode_states(meter_keys, ask_states(transaction, meter_keys))


def ask_states(transaction: Transaction, meter_keys: NDArray[np.int32]) -> bytes:
    """Read the states of meters as `decode_states` takes them apart."""
    return transaction.copy_out(_SQL["states_copy_out"], {"meter_keys": meter_keys, "layout": STORED_LAYOUT})


def decode_states(meter_keys: NDArray[np.int32], data: bytes) -> Carried:
    """Decode what `ask_states` gave for these meters."""
    keys, through_us, usable, lengths, packed = decode_arrays(_LOADED, data)
    rows = np.searchsorted(meter_keys, keys)
    state, sound = unpack(packed, lengths, rows, len(meter_keys))
    carried = Carried(
        state=state,
        through_us=np.full(len(meter_keys), ABSENT, dtype=np.int64),
        usable=np.ones(len(meter_keys), dtype=np.bool_),
    )
    carried.through_us[rows] = through_us
    carried.usable[rows] = sound[rows] & (usable == 1)
    return carried


def encode_states(meter_keys: NDArray[np.int32], state: NDArray[np.void]) -> bytes:
    """Encode the states of meters, sorted by number, for `save_states`."""
    columns = {
        "meter_key": meter_keys,
        "evaluated_through": state["last_time_us"],
        "last_received_at": state["last_received_us"],
    }
    return encode_varied(SAVED_COLUMNS, columns, "state", pack(state))


def save_states(transaction: Transaction, encoded: bytes, *, first: bool = True) -> None:
    """Write states in bulk, the `first` or later ones of a transaction; an empty one is written, too.

    The rows are where engines meet: two that decided on the same meter at the same time both
    write its row, and the later one gets a SerializationError, whatever either of them read.
    """
    transaction.execute(_SQL["states_stage_table" if first else "states_stage_empty"])
    transaction.copy_in(_SQL["states_stage_copy_in"], encoded)
    transaction.execute(_SQL["states_save"], {"layout": STORED_LAYOUT})
