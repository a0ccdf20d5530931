"""The registry as a table of limits, kept between runs and renewed where a row changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fleet.meter_table import MeterTable
from fleet.policies import Policies
from storage.database import Transaction
from storage.named_sql import load_queries
from storage.registry import load_meters

_SQL = load_queries("alerts")


class MeterCache:
    """Limits of the meters asked for so far, each as of the registry's last change of it."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._table = MeterTable.build([], [], policies)
        self._updated_us = np.empty(0, dtype=np.int64)

    def table(self, transaction: Transaction, meter_keys: NDArray[np.int32]) -> MeterTable:
        """Give the limits of some meters, sorted by number; one not in the registry is left out."""
        row = transaction.row(_SQL["meter_versions"], {"meter_keys": meter_keys}) or {}
        keys = np.array(row.get("meter_keys") or [], dtype=np.int32)
        updated_us = np.array(row.get("updated_us") or [], dtype=np.int64)
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
        new = MeterTable.build([m.meter for m in loaded], [m.meter_key for m in loaded], self._policies)
        kept = ~np.isin(self._table.meter_key, keys)
        order = np.argsort(np.concatenate([self._table.meter_key[kept], new.meter_key]), kind="stable")
        self._table = self._table.take(kept).joined(new)
        self._updated_us = np.concatenate([self._updated_us[kept], updated_us])[order]
