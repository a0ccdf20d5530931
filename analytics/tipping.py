"""Which reading tipped a finding: meters fed again one reading at a time, many of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import Episodes
from analytics.pipeline import evaluate
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

Rows = NDArray[np.intp]


@dataclass(slots=True)
class Tipping:
    """Stretches of meters' readings in which something new was found, each with the state before it."""

    #: Row of each stretch's meter, positions of its readings, and the state before, one per stretch.
    _row: list[int] = field(default_factory=list)
    _rows: list[Rows] = field(default_factory=list)
    _state: list[NDArray[np.void]] = field(default_factory=list)

    def add(self, row: int, rows: Rows, before: NDArray[np.void]) -> None:
        """Remember a stretch; `before` has shape (m,), `rows` are in the order of time and arrival."""
        self._row.append(row)
        self._rows.append(rows)
        self._state.append(before[row : row + 1].copy())

    def holds(self, rows: Rows) -> bool:
        """Tell whether a stretch of any of these meters waits."""
        return not set(self._row).isdisjoint(rows.tolist())

    def found(
        self, readings: ReadingBatch, meters: MeterTable
    ) -> Iterator[tuple[Episodes, NDArray[np.int64]]]:
        """Give what the next reading of each stretch made of it, and when that arrived, and forget all.

        Each stretch counts as a meter of its own, so one run of the checks serves all of them.
        """
        if not self._row:
            return
        row, stretches, state = np.array(self._row), self._rows, np.concatenate(self._state)
        self._row, self._rows, self._state = [], [], []
        table = replace(meters.take(row), meter_key=np.arange(len(row), dtype=np.int32))
        for step in range(max(len(rows) for rows in stretches)):
            number = np.array([at for at, rows in enumerate(stretches) if step < len(rows)])
            fed = readings.take(np.array([stretches[at][step] for at in number]))
            done = evaluate(replace(fed, meter_key=number.astype(np.int32)), table, state)
            state = done.state
            arrived_us = np.zeros(len(row), dtype=np.int64)
            arrived_us[number] = fed.received_us
            of = done.episodes.meter_key
            yield replace(done.episodes, meter_key=meters.meter_key[row[of]]), arrived_us[of]
