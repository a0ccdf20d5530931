"""What would have been found when: a history fed to the checks as it arrived, as the engine does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_H
from analytics.logbook import Logbook
from analytics.pipeline import Evaluation, evaluate, evaluate_clock, initial_state, silence_horizon_us
from analytics.segments import Mask
from analytics.tipping import Tipping
from analytics.truth import Findings
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

Rows = NDArray[np.intp]


def findings_by_arrival(
    readings: ReadingBatch, meters: MeterTable, start_us: int, end_us: int, cut_us: int = US_PER_H
) -> Findings:
    """Feed readings in the order of their arrival, cut by cut, with carried state.

    A meter whose readings of a cut are all newer than what it has said so far goes on from its
    carried state; one of which something came late is evaluated again from its first reading. Where
    a cut brings something new, its readings are fed again one by one, in the order of their arrival,
    so that a finding is decided exactly when the reading that tipped it arrived.

    At the end of each cut the clock is looked at; what it says is decided at its onset or at the
    beginning of the cut, whichever is later. A silence that begins and ends within one cut is not
    seen.

    Parameters
    ----------
    readings
        In any order, with `received_us`; what arrives outside of [start, end) is left out.
    meters
        Shape (m,), sorted by `meter_key`.
    start_us, end_us
        The time to look at, microseconds since 1970 UTC.
    cut_us
        How much arrives at once.

    """
    feed = _Feed.of(readings, meters, start_us, end_us, cut_us)
    for cut in range(len(feed.borders) - 1):
        feed.take(cut, start_us + cut * cut_us, min(start_us + (cut + 1) * cut_us, end_us))
    feed.settle()
    return feed.log.findings()


@dataclass(slots=True, eq=False)
class _Feed:
    #: By meter and device time; and the order in which they arrived.
    readings: ReadingBatch
    by_arrival: Rows
    #: Position in `by_arrival` at which each cut begins, and one more for the end.
    borders: Rows
    meters: MeterTable
    #: Row in `meters` of each reading, and where each meter's readings begin, and one more.
    row: Rows
    first: Rows
    state: NDArray[np.void]
    log: Logbook = field(default_factory=Logbook)
    tipping: Tipping = field(default_factory=Tipping)

    @classmethod
    def of(cls, readings: ReadingBatch, meters: MeterTable, start_us: int, end_us: int, cut_us: int) -> _Feed:
        heard = (readings.received_us >= start_us) & (readings.received_us < end_us)
        ordered = readings.take(heard).sorted_by_meter_and_time()
        row = meters.rows_of(ordered.meter_key)
        by_arrival = np.argsort(ordered.received_us, kind="stable")
        edges = np.append(np.arange(start_us, end_us, cut_us), end_us)
        borders = np.searchsorted(ordered.received_us[by_arrival], edges)
        first = np.searchsorted(row, np.arange(len(meters) + 1))
        return cls(ordered, by_arrival, borders, meters, row, first, initial_state(len(meters)))

    def take(self, cut: int, from_us: int, until_us: int) -> None:
        """Take in what arrives in [from, until)."""
        rows = np.sort(self.by_arrival[self.borders[cut] : self.borders[cut + 1]])
        if len(rows):
            late = np.unique(self.row[rows][self._is_late(rows)])
            self._go_on(rows[~np.isin(self.row[rows], late)])
            self._again(late, rows[np.isin(self.row[rows], late)])
        horizon_us = silence_horizon_us(until_us, self.state)
        by_clock = evaluate_clock(self.meters, self.state, until_us, horizon_us)
        self.log.clock(by_clock, from_us, until_us)

    def _is_late(self, rows: Rows) -> Mask:
        late: Mask = self.readings.device_time_us[rows] <= self.state["last_time_us"][self.row[rows]]
        return late

    def _go_on(self, rows: Rows) -> None:
        """Go on from the carried state; where something is new, find out with which reading."""
        if not len(rows):
            return
        before = self.state
        done = evaluate(self.readings.take(rows), self.meters, before)
        self.state = done.state
        new = self.log.unknown(done.episodes)
        if new.any():
            self._find_out(rows, np.unique(done.episodes.meter_key[new]), before)
        self.log.heard(done.episodes, self._last_arrival(rows))

    def _find_out(self, rows: Rows, meter_keys: NDArray[np.int32], before: NDArray[np.void]) -> None:
        """Remember what has to be fed again reading by reading, or do so where the order is broken."""
        for at in self.meters.rows_of(meter_keys).tolist():
            mine = rows[self.row[rows] == at]
            if (np.diff(self.readings.received_us[mine]) < 0).any():
                self._step_by_step(np.array([at]), mine)
            else:
                self.tipping.add(at, mine, before)

    def settle(self) -> None:
        """Tell the log exactly when the findings were decided that wait for that."""
        for episodes, arrived_us in self.tipping.found(self.readings, self.meters):
            self.log.dated(episodes, arrived_us)

    def _again(self, late: Rows, rows: Rows) -> None:
        """Evaluate meters again from their first reading, of which something came late."""
        if not len(late):
            return
        if self.tipping.holds(late):
            self.settle()
        arrived_us = self._last_arrival(rows)
        through_us = np.array([arrived_us[key] for key in self.meters.meter_key[late].tolist()])
        done = self._whole(late, through_us)
        new = self.log.unknown(done.episodes)
        if new.any():
            self._step_by_step(self.meters.rows_of(np.unique(done.episodes.meter_key[new])), rows)
        self.state = done.state
        self.log.replaced(done.episodes, arrived_us)

    def _step_by_step(self, late: Rows, rows: Rows) -> None:
        """Find out with which arrival something is new: everything up to each, one after the other."""
        row, received_us = self.row[rows], self.readings.received_us[rows]
        moments = [np.unique(received_us[row == at]) for at in late]
        for step in range(max(len(times) for times in moments)):
            there = np.array([step < len(times) for times in moments])
            through_us = np.array([times[step] for times in moments if step < len(times)])
            done = self._whole(late[there], through_us)
            keys = self.meters.meter_key[late[there]].tolist()
            self.log.replaced(done.episodes, dict(zip(keys, through_us.tolist(), strict=True)))

    def _whole(self, late: Rows, through_us: NDArray[np.int64]) -> Evaluation:
        """Evaluate meters from their first reading with what had arrived by then."""
        parts = [np.arange(self.first[at], self.first[at + 1]) for at in late]
        until_us = np.repeat(through_us, [len(part) for part in parts])
        whole = np.concatenate(parts)
        whole = whole[self.readings.received_us[whole] <= until_us]
        state = self.state.copy()
        state[late] = initial_state(len(late))
        return evaluate(self.readings.take(whole), self.meters, state)

    def _last_arrival(self, rows: Rows) -> dict[int, int]:
        """Give when the last of some readings arrived, by meter."""
        meter = self.readings.meter_key[rows]
        heads = np.flatnonzero(np.diff(meter, prepend=-1))
        last_us = np.maximum.reduceat(self.readings.received_us[rows], heads)
        return dict(zip(meter[heads].tolist(), last_us.tolist(), strict=True))
