"""The registry as a table of limits, kept between runs and renewed where a row or a policy changed."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.policies import CurrentPolicies
from fleet.meter_table import MeterTable
from storage.copy_arrays import decode_arrays
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.registry import load_meters

_SQL = load_queries("alerts")

#: What `meter_versions` gives, array by array.
_VERSIONS = ("int4", "timestamptz", "int8")


class MeterCache:
    """Limits of the meters asked for so far, as of the last change of the registry and the policies."""

    def __init__(self) -> None:
        self._current = CurrentPolicies()
        self._table = MeterTable.build([], [])
        self._updated_us = np.empty(0, dtype=np.int64)

    def table(
        self, transaction: Transaction, meter_keys: NDArray[np.int32], now: datetime | None = None
    ) -> MeterTable:
        """Give the limits of some meters as of now, sorted by number; one not in the registry is left out.

        Without `now` it is the database's own.
        """
        wanted = {"meter_keys": meter_keys, "now": now}
        found = transaction.copy_out(_SQL["meter_versions"], wanted)
        keys, updated_us, versions = decode_arrays(_VERSIONS, found)
        if self._current.renew(transaction, versions.tolist(), now):
            self._table = MeterTable.build([], [])
            self._updated_us = np.empty(0, dtype=np.int64)
        outdated = ~self._holds(keys, updated_us)
        if outdated.any():
            self._renew(transaction, keys[outdated], updated_us[outdated])
        return self._table.take(self._table.rows_of(keys))

    def _holds(self, keys: NDArray[np.int32], updated_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        rows = np.minimum(self._table.rows_of(keys), max(len(self._table) - 1, 0))
        if len(self._table) == 0:
            return np.zeros(len(keys), dtype=np.bool_)
        same: NDArray[np.bool_] = (self._table.meter_key[rows] == keys) & (
            self._updated_us[rows] == updated_us
        )
        return same

    def _renew(
        self, transaction: Transaction, keys: NDArray[np.int32], updated_us: NDArray[np.int64]
    ) -> None:
        loaded = load_meters(transaction, keys.tolist())
        new = MeterTable.build(
            [m.meter for m in loaded],
            [m.meter_key for m in loaded],
            self._current.policies,
            [m.timezone for m in loaded],
        )
        kept = ~np.isin(self._table.meter_key, keys)
        order = np.argsort(np.concatenate([self._table.meter_key[kept], new.meter_key]), kind="stable")
        self._table = self._table.take(kept).joined(new)
        self._updated_us = np.concatenate([self._updated_us[kept], updated_us])[order]
