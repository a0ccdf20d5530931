"""From flags to episodes: runs of bad readings, with what the run before left open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from analytics.segments import Segments
from fleet.checks import BY_CODE
from fleet.flags import Flag
from fleet.readings import ABSENT

#: An episode that is going on at a meter's last reading; `started_us` ABSENT where there is none.
OPEN_DTYPE = np.dtype([("started_us", "i8"), ("readings", "i8"), ("value", "f8"), ("flag", "u1")])
_NONE = np.array((ABSENT, 0, np.nan, 0), dtype=OPEN_DTYPE)


def nothing_open(n: int) -> NDArray[np.void]:
    """Make the carried part of n meters without an open episode."""
    return np.full(n, _NONE, dtype=OPEN_DTYPE)


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

    def decided(self) -> Decisions:
        """Leave out samples that say nothing: UNKNOWN and MISSING neither begin nor end an episode."""
        return self.take((self.flag != Flag.UNKNOWN) & (self.flag != Flag.MISSING))

    def take(self, which: NDArray[Any]) -> Decisions:
        """Select samples by a mask."""
        onset = None if self.onset_us is None else self.onset_us[which]
        return Decisions(
            seg=self.seg.take(which),
            time_us=self.time_us[which],
            flag=self.flag[which],
            value=self.value[which],
            onset_us=onset,
        )


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
        bad = (decisions.flag == Flag.SUSPECT) | (decisions.flag == Flag.FAIL)
        if not bad.any() and not (carried["started_us"] != ABSENT).any():
            return Episodes.empty(), carried
        known = decisions.decided()
        rows, started, ended, runs = self._runs(known, carried)
        episodes = Episodes.build(
            meter_key=meter_key[rows],
            check=BY_CODE[self.code].number,
            flag=runs["flag"],
            part=self.part,
            started_us=started,
            ended_us=ended,
            readings=runs["readings"],
            value=runs["value"],
            limit=np.broadcast_to(limit, meter_key.shape)[rows],
        )
        after = carried.copy()
        after[rows] = np.where(ended == ONGOING_US, runs, _NONE)
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
        left[rows] = _NONE
        return episodes, left

    def _runs(self, known: Decisions, carried: NDArray[np.void]) -> tuple[Any, Any, Any, NDArray[np.void]]:
        seg, bad = known.seg, known.flag != Flag.GOOD
        was_open = carried["started_us"] != ABSENT
        before = seg.previous(bad, was_open)
        # A run: bad samples in a row, or a good first sample that ends what was open.
        heads = np.flatnonzero((bad & (~before | seg.first)) | (~bad & before & seg.first))
        continues = before[heads]
        rows = seg.row[heads]
        runs = self._sums(known, bad, heads)
        runs["started_us"] = known.time_us[heads] if known.onset_us is None else known.onset_us[heads]
        old = carried[rows[continues]]
        runs["started_us"][continues] = old["started_us"]
        runs["readings"][continues] += old["readings"]
        runs["value"][continues] = self.worse(runs["value"][continues], old["value"])
        runs["flag"][continues] = np.maximum(runs["flag"][continues], old["flag"])
        ends_us = known.onset_us if self.ends_at_onset and known.onset_us is not None else known.time_us
        return rows, runs["started_us"], _ends(seg, bad, heads, ends_us), runs

    def _sums(self, known: Decisions, bad: NDArray[np.bool_], heads: NDArray[np.intp]) -> NDArray[np.void]:
        """Sum up from each head to the next; good samples in between count nothing."""
        runs = nothing_open(len(heads))
        if len(heads):
            runs["readings"] = np.add.reduceat(bad.astype(np.int64), heads)
            runs["value"] = self.worse.reduceat(np.where(bad, known.value, np.nan), heads)
            runs["flag"] = np.maximum.reduceat(np.where(bad, known.flag, 0), heads)
        return runs


def _ends(
    seg: Segments, bad: NDArray[np.bool_], heads: NDArray[np.intp], ends_us: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find the end that the first good sample at or after each head, in the same segment, stands for."""
    n = len(bad)
    # Walk backwards: the nearest good sample or segment's end at or after each sample.
    stop = np.where(~bad | seg.last, np.arange(n), n)
    stop = np.minimum.accumulate(stop[::-1])[::-1][heads]
    return np.where(bad[stop], ONGOING_US, ends_us[stop]) if n else np.empty(0, np.int64)
