"""The meters' buffers: what became of every reading, from unsent to confirmed by the server."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ReadingBatch

Rows = NDArray[np.int64]


class Delivery(IntEnum):
    """How far a reading has come; it never goes back behind SENT."""

    UNSENT = 0
    #: Given to the broker at least once, but not acknowledged.
    SENT = 1
    #: The broker acknowledged it, which is no durability.
    ACKNOWLEDGED = 2
    #: The server said that it is committed; the meter may forget it.
    CONFIRMED = 3


class Ledger:
    """Delivery of n readings, found by (meter, boot, seq)."""

    def __init__(self, readings: ReadingBatch) -> None:
        self.delivery: NDArray[np.uint8] = np.zeros(len(readings), dtype=np.uint8)
        self._order = np.lexsort((readings.seq, readings.boot, readings.meter_key))
        self._meter = readings.meter_key[self._order]
        self._boot = readings.boot[self._order]
        self._seq = readings.seq[self._order]

    def mark(self, rows: Any, delivery: Delivery) -> int:
        """Move readings on to a later state; gives how many moved."""
        moved = self.delivery[rows] < delivery
        np.maximum.at(self.delivery, rows, np.uint8(delivery))
        return int(moved.sum())

    def confirm(self, meter: int, boot: int, seq: int) -> int:
        """Take all of a boot up to `seq` as committed; gives how many readings that is news for.

        What was never sent stays unsent: no confirmation can be about it.
        """
        rows = self.find(meter, boot, 0, seq)
        return self.mark(rows[self.delivery[rows] >= Delivery.SENT], Delivery.CONFIRMED)

    def find(self, meter: int, boot: int, seq_from: int, seq_to: int) -> Rows:
        """Find the readings of a boot from one sequence number to another, both included."""
        low, high = self._bounds(self._meter, 0, len(self._meter), meter)
        low, high = self._bounds(self._boot, low, high, boot)
        seq = self._seq[low:high]
        first = low + int(np.searchsorted(seq, seq_from, "left"))
        last = low + int(np.searchsorted(seq, seq_to, "right"))
        return np.asarray(self._order[first:last])

    def count(self, at_least: Delivery) -> int:
        """Count the readings that have come at least so far."""
        return int((self.delivery >= at_least).sum())

    def unconfirmed(self) -> Rows:
        """List what was acknowledged by the broker and not confirmed by the server."""
        return np.flatnonzero(self.delivery == Delivery.ACKNOWLEDGED)

    @staticmethod
    def _bounds(column: NDArray[Any], low: int, high: int, value: int) -> tuple[int, int]:
        part = column[low:high]
        return low + int(np.searchsorted(part, value, "left")), low + int(
            np.searchsorted(part, value, "right")
        )
