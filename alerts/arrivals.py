"""When the readings arrived that decided on episodes; pure.

The meter's clock says when a condition began; that it did was known at the earliest when a certain
reading had arrived. For an episode's beginning that is the first reading that its check flagged, at
the onset or after (a rule over time decides later than the onset it finds); for a check that looks
one sample ahead, the reading after that; for its worst flag, the first one flagged FAIL; for its
end, the first reading called good again, and for a silence the frame that broke it. A late reading
that moves an onset or an end is itself that reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.checks import LOOKING_AHEAD
from analytics.episodes import ONGOING_US, Episodes
from analytics.pipeline import Evaluation
from fleet.checks import BY_NUMBER
from fleet.columns import Columns
from fleet.flags import Flag
from fleet.readings import ABSENT, ReadingBatch

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals(Columns):
    """Arrival times that belong to k episodes, shape (k,), microseconds since 1970; ABSENT: none here."""

    began_us: Times
    failed_us: Times
    ended_us: Times
    #: Of the newest reading of its meter in the same evaluation.
    newest_us: Times

    @classmethod
    def empty(cls) -> Self:
        """Make none."""
        return cls.unknown(0)

    @classmethod
    def unknown(cls, count: int) -> Self:
        """Say nothing of some episodes."""
        return cls(*(np.full(count, ABSENT, dtype=np.int64) for _ in range(4)))


def arrivals(readings: ReadingBatch, evaluation: Evaluation) -> Arrivals:
    """Find the arrivals behind the episodes of an evaluation of just these readings."""
    episodes = evaluation.episodes
    found = Arrivals.unknown(len(episodes))
    if len(episodes) == 0:
        return found
    line = _Line.of(readings)
    found.newest_us[:] = line.newest_arrival_us(episodes.meter_key)
    for number in np.unique(episodes.check):
        code = BY_NUMBER[int(number)].code
        rows = np.flatnonzero(episodes.check == number)
        flags = evaluation.flags.get(code)
        if flags is not None:
            _fill(found, rows, episodes.take(rows), flags, line, code)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """All readings on one line: the meters one behind the other, each with room for its span of time."""

    readings: ReadingBatch
    keys: NDArray[np.int32]
    #: Ascending place of each reading.
    place: Times
    start_us: int
    room_us: int

    @classmethod
    def of(cls, readings: ReadingBatch) -> Self:
        keys, row = np.unique(readings.meter_key, return_inverse=True)
        start_us = int(readings.device_time_us.min())
        room_us = int(readings.device_time_us.max()) - start_us + 3
        place = row * room_us + (readings.device_time_us - start_us + 1)
        return cls(readings, keys, place, start_us, room_us)

    def places(self, meter_key: NDArray[np.int32], time_us: Times) -> Times:
        """Give the places of moments of meters that are on the line."""
        row = np.searchsorted(self.keys, meter_key)
        # Before it is subtracted from, for the end of what goes on is the largest number there is.
        inside: Times = (
            np.clip(time_us, self.start_us - 1, self.start_us + self.room_us - 2) - self.start_us + 1
        )
        return row * self.room_us + inside

    def first(self, marked: NDArray[np.intp], meter_key: NDArray[np.int32], place: Times) -> NDArray[np.intp]:
        """Find each meter's first marked reading at a place or after; -1 where there is none."""
        at = np.searchsorted(self.place[marked], place, side="left")
        found = np.append(marked, -1)[at]
        return np.where((found >= 0) & (self.readings.meter_key[found] == meter_key), found, -1)

    def arrival_us(self, at: NDArray[np.intp]) -> Times:
        """Give the arrival of readings; ABSENT for -1."""
        return np.where(at >= 0, self.readings.received_us[at], ABSENT)

    def newest_arrival_us(self, meter_key: NDArray[np.int32]) -> Times:
        heads = np.flatnonzero(np.append(True, np.diff(self.readings.meter_key) != 0))
        newest: Times = np.maximum.reduceat(self.readings.received_us, heads)
        return newest[np.searchsorted(self.keys, meter_key)]


def _fill(
    found: Arrivals,
    rows: NDArray[np.intp],
    episodes: Episodes,
    flags: NDArray[np.uint8],
    line: _Line,
    code: str,
) -> None:
    key = episodes.meter_key
    # What reports nothing to the check is no sample that could decide.
    samples = np.flatnonzero(flags != Flag.MISSING) if code in LOOKING_AHEAD else None
    start = line.places(key, episodes.started_us)
    over = episodes.ended_us != ONGOING_US
    end = line.places(key, episodes.ended_us)
    bad = np.flatnonzero((flags == Flag.SUSPECT) | (flags == Flag.FAIL))
    found.began_us[rows] = line.arrival_us(_decider(line, bad, key, (start, end), samples))
    failed = np.flatnonzero(flags == Flag.FAIL)
    found.failed_us[rows] = line.arrival_us(_decider(line, failed, key, (start, end), samples))
    # The frame that breaks a silence is itself flagged; anything else ends with a good sample.
    calm = np.arange(len(flags)) if code == "meter_silent" else np.flatnonzero(flags == Flag.GOOD)
    ended = line.first(calm, key, end)
    found.ended_us[rows] = np.where(over, line.arrival_us(ended), ABSENT)


def _decider(
    line: _Line,
    bad: NDArray[np.intp],
    key: NDArray[np.int32],
    between: tuple[Times, Times],
    samples: NDArray[np.intp] | None,
) -> NDArray[np.intp]:
    """Find what decided on the first bad reading between two places: it, or the next of some samples."""
    at = line.first(bad, key, between[0])
    at = np.where(line.place[at] <= between[1], at, -1)
    if samples is None:
        return at
    following = np.append(samples, -1)[np.searchsorted(samples, at, side="right")]
    there = (at >= 0) & (following >= 0) & (line.readings.meter_key[following] == key)
    return np.where(there, following, at)
