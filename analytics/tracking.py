"""From flags to episodes: runs of bad readings, with what the run before left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from analytics.open_episodes import NOTHING_OPEN, nothing_open
from analytics.segments import Positions, Segments
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.readings import ABSENT

_NOTHING = Episodes.empty()


class Worse(Protocol):
    """Takes the worse of values; np.fmax and np.fmin do."""

    def __call__(self, one: Any, other: Any, /) -> Any:
        """Give the worse of two, element by element."""

    def reduceat(self, values: Any, heads: Any, /) -> Any:
        """Give the worst from each head to the next."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decisions:
    """What a check said of each of its samples, as arrays of shape (n,)."""

    seg: Segments
    time_us: NDArray[np.int64]
    flag: NDArray[np.uint8]
    #: How bad, in the check's unit.
    value: NDArray[np.float64]
    #: Where the condition began, if this sample is the first bad one; None: at the sample itself.
    onset_us: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """How a check's decisions become episodes."""

    code: str
    #: The worse of two values: np.fmax, np.fmin, or what else adds up.
    worse: Worse = np.fmax
    part: int = 0
    #: Whether a good sample ends an episode at its own onset (a window's beginning), not at its time.
    ends_at_onset: bool = False

    def track(
        self,
        decisions: Decisions,
        carried: NDArray[np.void],
        meter_key: NDArray[np.int32],
        limit: NDArray[np.float64] | float,
    ) -> tuple[Episodes, NDArray[np.void]]:
        """Join bad samples without a good one between them.

        None begins before the end of the meter's last one, however far back its onset lies: a
        condition can look longer than what a good sample ended.

        Parameters
        ----------
        decisions
            Samples in order; those before them are summed up in `carried`.
        carried
            Shape (m,), `OPEN_DTYPE`: each meter's open episode.
        meter_key, limit
            Shape (m,): the meter's number, and what its values are held against.

        Returns
        -------
        The episodes that a sample began, continued or ended, and the new `carried`.

        """
        bad = np.flatnonzero(is_bad(decisions.flag))
        was_open = carried["started_us"] != ABSENT
        if len(bad) == 0 and not was_open.any():
            return _NOTHING, carried
        runs = _Runs.of(decisions, bad, was_open)
        good_us = decisions.time_us
        if self.ends_at_onset and decisions.onset_us is not None:
            good_us = decisions.onset_us
        ended = np.where(runs.ends < 0, ONGOING_US, good_us[runs.ends])
        sums = self._sums(decisions, runs, carried, runs.ended_before(ended, carried["ended_us"]))
        episodes = Episodes.build(
            meter_key=meter_key[runs.row],
            check=BY_CODE[self.code].number,
            flag=sums["flag"],
            part=self.part,
            started_us=sums["started_us"],
            ended_us=ended,
            readings=sums["readings"],
            value=sums["value"],
            limit=np.broadcast_to(limit, meter_key.shape)[runs.row],
        )
        after = carried.copy()
        over = ended != ONGOING_US
        left = np.where(over, NOTHING_OPEN, sums)
        left["ended_us"] = np.where(over, ended, sums["ended_us"])
        after[runs.row] = left
        return episodes, after

    def end(
        self,
        carried: NDArray[np.void],
        gone: NDArray[np.bool_],
        meter_key: NDArray[np.int32],
        ended_us: NDArray[np.int64],
    ) -> tuple[Episodes, NDArray[np.void]]:
        """End what is open at the meters of a mask, all of shape (m,); gives it, and what is left open."""
        rows = np.flatnonzero(gone & (carried["started_us"] != ABSENT))
        if len(rows) == 0:
            return _NOTHING, carried
        open_ = carried[rows]
        episodes = Episodes.build(
            meter_key=meter_key[rows],
            check=BY_CODE[self.code].number,
            flag=open_["flag"],
            part=self.part,
            started_us=open_["started_us"],
            ended_us=ended_us[rows],
            readings=open_["readings"],
            value=open_["value"],
            limit=np.nan,
        )
        left = carried.copy()
        left[rows] = NOTHING_OPEN
        left["ended_us"][rows] = ended_us[rows]
        return episodes, left

    def _sums(
        self,
        decisions: Decisions,
        runs: _Runs,
        carried: NDArray[np.void],
        before_us: NDArray[np.int64],
    ) -> NDArray[np.void]:
        """Sum up each run, together with what was open before it."""
        sums = nothing_open(len(runs.row))
        sums["ended_us"] = before_us
        if len(runs.bad):
            some, heads = runs.begins >= 0, runs.heads
            onset_us = decisions.time_us if decisions.onset_us is None else decisions.onset_us
            sums["started_us"][some] = np.maximum(onset_us[runs.begins[some]], before_us[some])
            sums["readings"][some] = np.diff(heads, append=len(runs.bad))
            sums["value"][some] = self.worse.reduceat(decisions.value[runs.bad], heads)
            sums["flag"][some] = np.maximum.reduceat(decisions.flag[runs.bad], heads)
        goes_on = runs.goes_on
        old = carried[runs.row[goes_on]]
        sums["started_us"][goes_on] = old["started_us"]
        sums["readings"][goes_on] += old["readings"]
        sums["value"][goes_on] = self.worse(sums["value"][goes_on], old["value"])
        sums["flag"][goes_on] = np.maximum(sums["flag"][goes_on], old["flag"])
        return sums


def is_bad(flag: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which flags are SUSPECT or FAIL."""
    bad: NDArray[np.bool_] = (flag - np.uint8(Flag.SUSPECT)) <= Flag.FAIL - Flag.SUSPECT
    return bad


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Bad samples without a good one between them, and good first ones that end what was open.

    UNKNOWN and MISSING neither begin nor end anything. Shape (r,) but for the first two, by meter and time.
    """

    #: Positions of all bad samples, and which of them begin a run.
    bad: Positions
    heads: Positions
    row: Positions
    #: Position of the run's first bad sample, -1 where it has none; of the good sample that ends it,
    #: -1 where none does yet.
    begins: Positions
    ends: Positions
    #: Whether it continues what was open.
    goes_on: NDArray[np.bool_]

    def ended_before(self, ended_us: NDArray[np.int64], carried_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the end of the run before each one of the same meter, or the one that was carried."""
        before = carried_us[self.row]
        same = np.flatnonzero(self.row[1:] == self.row[:-1]) + 1
        before[same] = ended_us[same - 1]
        return before

    @classmethod
    def of(cls, decisions: Decisions, bad: Positions, was_open: NDArray[np.bool_]) -> _Runs:
        seg, good = decisions.seg, np.flatnonzero(decisions.flag == Flag.GOOD)
        segment, rank = seg.segment_of(bad), np.searchsorted(good, bad)
        begins = np.ones(len(bad), dtype=np.bool_)
        begins[1:] = (rank[1:] != rank[:-1]) | (segment[1:] != segment[:-1])
        heads = np.flatnonzero(begins)
        of_head = segment[heads]
        unbroken = rank[heads] == np.searchsorted(good, seg.starts[of_head])
        unbroken &= was_open[seg.meters[of_head]]
        ends = _first_in(good, rank[heads], seg.stops[of_head])
        closed, closed_by = _closed_at_once(seg, bad, good, was_open)
        # What a good sample closes comes before its meter's runs.
        order = np.argsort(np.concatenate([closed, of_head]), kind="stable")
        none = np.full(len(closed), -1)
        return cls(
            bad,
            heads,
            np.concatenate([seg.meters[closed], seg.meters[of_head]])[order],
            np.concatenate([none, bad[heads]])[order],
            np.concatenate([closed_by, ends])[order],
            np.concatenate([none < 0, unbroken])[order],
        )


def _first_in(good: Positions, rank: Positions, stops: Positions) -> Positions:
    """Give the good sample of each rank, -1 where it lies beyond its segment."""
    if len(good) == 0:
        return np.full(len(rank), -1)
    at = good[np.minimum(rank, len(good) - 1)]
    return np.where((rank < len(good)) & (at < stops), at, -1)


def _closed_at_once(
    seg: Segments, bad: Positions, good: Positions, was_open: NDArray[np.bool_]
) -> tuple[Positions, Positions]:
    """Find segments of open episodes whose first word is a good sample, and that sample."""
    segments = np.flatnonzero(was_open[seg.meters])
    starts, stops = seg.starts[segments], seg.stops[segments]
    at = _first_in(good, np.searchsorted(good, starts), stops)
    first_bad = np.append(bad, np.iinfo(np.intp).max)[np.searchsorted(bad, starts)]
    closes = (at >= 0) & (at < first_bad)
    return segments[closes], at[closes]
