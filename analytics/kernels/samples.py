"""The samples that a look at neighbours may use, with those of before in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from analytics.kernels.borders import Array, Borders, Floats, Limit, Mask, Positions
from analytics.kernels.flat import Runs, Times

_NONE = np.empty(0, np.intp)
_LAST_TWO = np.array([-2, -1])


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Earlier samples of some meters, as far as later ones need them; by meter and time, shape (h,)."""

    meter: Positions
    time_us: Times
    value: Floats
    #: Position among the readings of this run, -1 in those of an earlier one.
    at: Positions

    @classmethod
    def empty(cls) -> Self:
        """Begin with nothing."""
        return cls(_NONE, np.empty(0, np.int64), np.empty(0), _NONE)

    @classmethod
    def joined(cls, parts: Sequence[History]) -> Self:
        """Put histories of different meters together."""
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def __len__(self) -> int:
        return len(self.meter)

    def take(self, which: Array | slice) -> Self:
        """Select samples."""
        return type(self)(self.meter[which], self.time_us[which], self.value[which], self.at[which])

    def of_meters(self, meters: Array) -> Self:
        """Select the samples of some meters, ascending."""
        near = slice(*np.searchsorted(self.meter, [meters[0], meters[-1] + 1]))
        return self.take(near).take(np.isin(self.meter[near], meters))

    def of_earlier_run(self) -> Self:
        """Forget the positions."""
        return replace(self, at=np.full(len(self), -1, dtype=np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples with a value, times rising within each of k meters, after their history; shape (n,)."""

    time_us: Times
    value: Floats
    #: Position among the readings of this run, -1 in those of an earlier one.
    at: Positions
    borders: Borders
    #: Meter of each segment, shape (k,).
    meter: Array
    #: Time since the sample before, NaN at a segment's first.
    elapsed_us: Floats

    @classmethod
    def of(cls, time_us: Times, value: Floats, at: Positions, counts: Positions, meter: Array) -> Self:
        """Take samples of k meters, `counts` of each, and leave out a second one of the same time."""
        some = counts > 0
        starts = (np.cumsum(counts) - counts)[some]
        borders = Borders.at(len(value), starts)
        elapsed_us = borders.elapsed_us(time_us)
        repeated = elapsed_us <= 0
        if repeated.any():
            keep = np.flatnonzero(~repeated)
            borders = Borders.at(len(keep), np.searchsorted(keep, starts))
            time_us, value, at = time_us[keep], value[keep], at[keep]
            elapsed_us = borders.elapsed_us(time_us)
        return cls(time_us, value, at, borders, meter[some], elapsed_us)

    @classmethod
    def after(
        cls, history: History, time_us: Times, value: Floats, at: Positions, begin: Positions, meter: Array
    ) -> Self:
        """Put the history of some of k meters in front of their samples, which begin at `begin`."""
        counts = np.diff(begin, append=len(at))
        if len(history):
            segment = np.searchsorted(meter, history.meter)
            place = begin[segment]
            time_us = np.insert(time_us, place, history.time_us)
            value = np.insert(value, place, history.value)
            at = np.insert(at, place, history.at)
            counts += np.bincount(segment, minlength=len(counts))
        return cls.of(time_us, value, at, counts, meter)

    def waiting(self, start: int) -> Positions:
        """Find samples from before the reading `start` that have a successor from it on."""
        old = self.at < start
        if not old[self.borders.starts].any():
            return _NONE
        last = np.flatnonzero(old[:-1] & ~old[1:])
        waited: Positions = last[self.borders.segment(last) == self.borders.segment(last + 1)]
        return waited

    def left(self, runs: Runs, window_us: Limit, *, ends_suffice: bool) -> History:
        """Keep what later samples will need: each meter's last two, and a flat line that may go on.

        Of that, what lies in the last window, shape (k,) or one for all; or its first sample only, where
        all its values are equal (`ends_suffice`).
        """
        stops = self.borders.stops
        kept = stops[:, None] + _LAST_TWO
        kept = kept[kept >= self.borders.starts[:, None]]
        going_on = runs.take(stops[stops.searchsorted(runs.stop)] == runs.stop)
        if len(going_on.begin):
            more = going_on.begin if ends_suffice else self._in_window(going_on, window_us)
            kept = _union(kept, more)
        meter = self.meter[self.borders.segment(kept)].astype(np.intp)
        return History(meter, self.time_us[kept], self.value[kept], self.at[kept])

    def _in_window(self, runs: Runs, window_us: Limit) -> Positions:
        """Give the members of some runs from the last one on that is a window older than the run's last."""
        at = runs.members
        last = np.repeat(runs.stop - 1, runs.stop - runs.begin)
        since_us = self.time_us[last] - self.borders.pick(at, window_us)[0]
        following = np.minimum(at + 1, last)
        needed: Mask = (self.time_us[following] > since_us) | (at == last)
        return at[needed]


def _union(one: Positions, other: Positions) -> Positions:
    """Put positions together, each once, in order."""
    both = np.concatenate([one, other])
    both.sort()
    return both[np.diff(both, prepend=-1) > 0]
