"""The samples that a look at neighbours may use, with those of before in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from analytics.kernels.borders import Array, Borders, Floats, Limit, Mask, Positions
from analytics.kernels.flat import Runs, Times

_NONE = np.empty(0, np.intp)


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
    """A block's readings of k meters after what these have of earlier ones; shape (n,).

    Those that are no sample stay in their place, so that nothing has to move: each looks like the sample
    before it, and so its successor sees that one. What the pipeline's checks share is `analytics.samples`.
    """

    time_us: Times
    #: NaN where the meter has no sample yet.
    value: Floats
    borders: Borders
    #: Meter of each segment, shape (k,).
    meter: Array
    #: Time since the sample before; without meaning at a segment's first.
    elapsed_us: Times
    #: What is no sample.
    out: LeftOut
    #: Position among the readings of this run, -1 in those of an earlier one; the first one's where
    #: they follow each other.
    at: Positions | int

    @classmethod
    def after(
        cls, history: History, time_us: Times, value: Floats, missing: Positions, borders: Borders,
        elapsed_us: Times, meter: Array, start: int,
    ) -> Self:  # fmt: skip
        """Take the readings from `start` on, `missing` those without a value, after their history.

        `elapsed_us` is the time since the reading before, and is made that since the sample before.
        """
        at: Positions | int = start
        if len(history):
            place = borders.starts[np.searchsorted(meter, history.meter)]
            time_us, value = (
                np.insert(time_us, place, history.time_us),
                np.insert(value, place, history.value),
            )
            at = np.insert(np.arange(start, start + borders.n), place, history.at)
            missing = missing + np.searchsorted(place, missing, side="right")
            starts = borders.starts + np.searchsorted(place, borders.starts)
            borders = Borders.at(len(at), starts)
            elapsed_us = borders.elapsed_us(time_us)
        out = LeftOut.of(missing, borders)
        repeated = _repeated(time_us, elapsed_us, out, borders)
        if len(repeated):
            out = LeftOut.of(_union(missing, repeated), borders)
        if len(out.at):
            value = out.filled(value)
            out.bridge(elapsed_us, time_us)
        return cls(time_us, value, borders, meter, elapsed_us, out, at)

    def reading_of(self, entry: Positions) -> Positions:
        """Give positions among the readings of this run."""
        return self.at + entry if isinstance(self.at, int) else self.at[entry]

    def neighbours(self, entry: Positions) -> tuple[Floats, Floats]:
        """Give the samples before and after; NaN where a segment has none."""
        segment = self.borders.segment(entry)
        before = self.value[entry - 1]
        before[entry == self.borders.starts[segment]] = np.nan
        following = self.out.next_after(entry)
        ends = following >= self.borders.stops[segment]
        after = self.value[np.where(ends, 0, following)]
        after[ends] = np.nan
        return before, after

    def waiting(self, start: int) -> Positions:
        """Find samples from before the reading `start` that have a successor from it on."""
        if isinstance(self.at, int):
            return _NONE
        old = self.at < start
        last = np.flatnonzero(old[:-1] & ~old[1:])
        segment = self.borders.segment(last)
        waited: Positions = last[self.out.next_after(last) < self.borders.stops[segment]]
        return waited

    def left(self, runs: Runs, window_us: Limit, *, ends_suffice: bool) -> History:
        """Keep what later samples will need: each meter's last two, and a flat line that may go on.

        Of that, what lies in the last window, shape (k,) or one for all; or its first sample only, where
        all its values are equal (`ends_suffice`).
        """
        starts, stops = self.borders.starts, self.borders.stops
        last = self.out.sample_at(stops - 1)
        some = last >= starts
        before = self.out.sample_at(np.maximum(last - 1, 0))
        kept = np.concatenate([last[some], before[some & (last > starts) & (before >= starts)]])
        place = np.minimum(runs.stop.searchsorted(stops), len(runs.stop) - 1)
        going_on = runs.take(place[runs.stop[place] == stops] if len(runs.stop) else place[:0])
        if len(going_on.begin):
            more = going_on.begin if ends_suffice else self._in_window(going_on, window_us)
            kept = np.concatenate([kept, more])
        kept.sort()
        kept = kept[np.diff(kept, prepend=-1) > 0]
        meter = self.meter[self.borders.segment(kept)].astype(np.intp)
        return History(meter, self.time_us[kept], self.value[kept], self.reading_of(kept))

    def _in_window(self, runs: Runs, window_us: Limit) -> Positions:
        """Give the members of some runs from the last one on that is a window older than the run's last."""
        last_of = self.out.sample_at(runs.stop - 1)
        at, last = runs.members, np.repeat(last_of, runs.stop - runs.begin)
        is_sample = self.out.sample_at(at) == at
        at, last = at[is_sample], last[is_sample]
        since_us = self.time_us[last] - self.borders.pick(at, window_us)[0]
        following = np.minimum(self.out.next_after(at), last)
        needed: Mask = (self.time_us[following] > since_us) | (at == last)
        members: Positions = at[needed]
        return members


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Readings that are no sample: without a value, or a second one of one time; shape (c,)."""

    #: Ascending.
    at: Positions
    #: The sample before, -1 where the segment has none; and what follows the last one of a row of them.
    before: Positions
    following: Positions
    #: Those that follow a row of them in the same segment after a sample, and that sample.
    next_at: Positions
    next_before: Positions

    @classmethod
    def of(cls, at: Positions, borders: Borders) -> Self:
        """Look at the neighbours of what is left out."""
        if not len(at):
            return cls(at, at, at, at, at)
        segment = borders.segment(at)
        heads = np.ones(len(at), dtype=np.bool_)
        heads[1:] = (at[1:] != at[:-1] + 1) | (segment[1:] != segment[:-1])
        first = np.flatnonzero(heads)
        lasts = np.append(first[1:], len(at)) - 1
        counts = lasts - first + 1
        before = np.where(at[first] == borders.starts[segment[first]], -1, at[first] - 1)
        following = at[lasts] + 1
        inner = (before >= 0) & (following < borders.stops[segment[first]])
        return cls(at, before.repeat(counts), following.repeat(counts), following[inner], before[inner])

    def filled(self, value: Floats) -> Floats:
        """Give each the value of the sample before it, NaN where there is none."""
        value = value.copy()
        value[self.at] = np.where(self.before < 0, np.nan, value[self.before])
        return value

    def bridge(self, elapsed_us: Times, time_us: Times) -> None:
        """Measure the time of those after a row from the sample before it, in place."""
        elapsed_us[self.next_at] = time_us[self.next_at] - time_us[self.next_before]

    def sample_at(self, entry: Positions) -> Positions:
        """Give the latest sample up to each entry; -1 where its segment has none."""
        if not len(self.at):
            return entry
        place = np.minimum(self.at.searchsorted(entry), len(self.at) - 1)
        return np.where(self.at[place] == entry, self.before[place], entry)

    def next_after(self, entry: Positions) -> Positions:
        """Give the next sample after each entry of its segment; beyond that, anything that is not in it."""
        ahead = entry + 1
        if len(self.at):
            place = np.minimum(self.at.searchsorted(ahead), len(self.at) - 1)
            ahead = np.where(self.at[place] == ahead, self.following[place], ahead)
        return ahead


def _repeated(time_us: Times, elapsed_us: Times, missing: LeftOut, borders: Borders) -> Positions:
    """Find those that have a value and the time of the sample before."""
    at = np.flatnonzero(elapsed_us <= 0)
    at = at[borders.starts[borders.segment(at)] != at] if len(at) else at
    if not len(at):
        return at
    before = missing.sample_at(at - 1)
    again = (missing.sample_at(at) == at) & (before >= 0)
    repeated: Positions = at[again & (time_us[before] == time_us[at])]
    return repeated


def _union(one: Positions, other: Positions) -> Positions:
    """Put positions together that have none in common, in order."""
    both = np.concatenate([one, other])
    both.sort()
    return both
