"""What the engine would say of readings that a meter numbered and that did not come."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from analytics.truth import Findings
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch
from ingest.sequence import Progress, advance

_US_PER_S = 1_000_000

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """While so many numbers were missing in vain: since when, said when, until when."""

    found_us: int
    said_us: int
    until_us: int
    missing: int


def gap_findings(readings: ReadingBatch, meters: MeterTable, end_us: int) -> Findings:
    """Find `data_gap` as ingest and engine do, in the order of arrival; what is asked for again never comes.

    Readings of one boot a meter, in any order; what arrives at `end_us` or later is left out. A finding
    begins when the oldest hole was found, is said `gap_open_after_s` later, and ends when what came
    closed the last hole that is as old.
    """
    heard = readings.take(readings.received_us < end_us)
    order = np.lexsort((heard.received_us, heard.meter_key))
    key, seq, at_us = (
        values[order].astype(np.int64) for values in (heard.meter_key, heard.seq, heard.received_us)
    )
    open_after_us = np.broadcast_to(meters.limit(lambda p: p.gap_open_after_s) * _US_PER_S, len(meters))
    starts = np.searchsorted(key, meters.meter_key)
    stops = np.searchsorted(key, meters.meter_key, side="right")
    rows: list[int] = []
    found: list[_Stretch] = []
    for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        mine = list(_stretches(seq[start:stop], at_us[start:stop], int(open_after_us[row]), end_us))
        found += mine
        rows += [row] * len(mine)
    at = np.array(rows, dtype=np.intp)
    until_us = np.array([one.until_us for one in found], dtype=np.int64)
    episodes = Episodes.build(
        meter_key=meters.meter_key[at],
        check=BY_CODE["data_gap"].number,
        flag=Flag.SUSPECT,
        part=0,
        started_us=np.array([one.found_us for one in found], dtype=np.int64),
        ended_us=np.where(until_us >= end_us, ONGOING_US, until_us),
        readings=np.array([one.missing for one in found], dtype=np.int64),
        value=np.array([(one.until_us - one.found_us) / _US_PER_S for one in found], dtype=np.float64),
        limit=open_after_us[at] / _US_PER_S,
    )
    return Findings(episodes, np.array([one.said_us for one in found], dtype=np.int64))


@dataclass(slots=True)
class _Holes:
    """The holes of a meter, and when each was found."""

    progress: Progress = field(default_factory=Progress)
    found_us: list[int] = field(default_factory=list)

    def take(self, seq: list[int], at_us: int) -> None:
        """Take in what arrived; what is left of a hole was found when the whole was."""
        known, since_us = self.progress.gaps, self.found_us
        self.progress = advance(self.progress, seq)
        self.found_us = []
        for first, _ in self.progress.gaps:
            at = bisect_right(known, first, key=lambda gap: gap[0]) - 1
            is_piece = at >= 0 and first <= known[at][1]
            self.found_us.append(since_us[at] if is_piece else at_us)


def _stretches(seq: Times, at_us: Times, open_after_us: int, end_us: int) -> Iterator[_Stretch]:
    """Tell when the oldest hole of one meter is old enough; arrays in the order of arrival."""
    holes, last = _Holes(), None
    turns = np.flatnonzero(seq != np.maximum.accumulate(np.append(0, seq))[:-1] + 1)
    before = 0
    for turn in turns.tolist():
        holes.take(seq[before:turn].tolist(), 0)
        holes.take([int(seq[turn])], int(at_us[turn]))
        before = turn + 1
        # Until the next turn nothing opens or closes a hole.
        following = turns[np.searchsorted(turns, turn, side="right") :]
        until_us = int(at_us[following[0]]) if len(following) else end_us
        oldest_us = min(holes.found_us, default=end_us)
        said_us = max(int(at_us[turn]), oldest_us + open_after_us)
        if said_us < until_us:
            missing = sum(through - first + 1 for first, through in holes.progress.gaps)
            now = _Stretch(oldest_us, said_us, until_us, missing)
            if last is not None and last.until_us == said_us:
                now = _Stretch(last.found_us, last.said_us, until_us, max(missing, last.missing))
            elif last is not None:
                yield last
            last = now
    if last is not None:
        yield last
