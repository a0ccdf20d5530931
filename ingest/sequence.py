"""How far each start of a meter is stored without a hole, and which holes there are; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

#: Number of the meter, and of its start.
Boot = tuple[int, int]
#: Ranges [from, to], both inclusive, ascending.
Gaps = tuple[tuple[int, int], ...]

#: Sequence numbers of a boot begin here; a reading numbered 0 is stored, and not accounted for.
FIRST_SEQ = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What of one (meter, boot) is committed."""

    highest: int = FIRST_SEQ - 1
    #: Below `highest`.
    gaps: Gaps = ()

    @property
    def committed_through(self) -> int:
        """All of the boot up to this number is committed."""
        return self.gaps[0][0] - 1 if self.gaps else self.highest


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """What came of m boots, ascending by meter and boot; arrays of shape (m,)."""

    meter_key: NDArray[np.int64]
    boot: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    #: Whether every number from `first` to `last` came.
    is_unbroken: NDArray[np.bool_]
    #: All numbers, run after run, and where each run begins.
    seq: NDArray[np.int64]
    head: NDArray[np.int64]

    @classmethod
    def of(cls, meter_key: NDArray[np.int64], boot: NDArray[np.int64], seq: NDArray[np.int64]) -> Self:
        """Sort sequence numbers of many boots, arrays of shape (n,), into runs."""
        order = np.lexsort((seq, boot, meter_key))
        meter_key, boot, seq = meter_key[order], boot[order], seq[order]
        is_new = _changes(meter_key) | _changes(boot)
        head = np.flatnonzero(is_new)
        first, last = seq[head], seq[np.append(head[1:], len(seq))[: len(head)] - 1]
        counted = np.add.reduceat(is_new | _changes(seq), head, dtype=np.int64) if len(head) else head
        return cls(meter_key[head], boot[head], first, last, last - first + 1 == counted, seq, head)

    def __len__(self) -> int:
        return len(self.head)

    def numbers(self, at: int) -> list[int]:
        """List the numbers of one run, ascending."""
        end = self.head[at + 1] if at + 1 < len(self.head) else len(self.seq)
        return list(self.seq[self.head[at] : end].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Advanced:
    """How far the boots of some runs are committed now; arrays of shape (m,)."""

    highest: NDArray[np.int64]
    through: NDArray[np.int64]
    #: The runs whose gaps were looked at: position -> before and after.
    gaps: dict[int, tuple[Gaps, Gaps]]


def advance_all(runs: Runs, highest: NDArray[np.int64], gaps: Mapping[Boot, Gaps]) -> Advanced:
    """Note newly committed runs; `highest` of shape (m,) and `gaps` are what was known before."""
    repeated, next_in_line = runs.last <= highest, runs.first == highest + 1
    after = np.where(repeated, highest, runs.last)
    plain = repeated | (runs.is_unbroken & next_in_line)
    if gaps:
        known = zip(runs.meter_key.tolist(), runs.boot.tolist(), strict=True)
        plain &= ~np.array([boot in gaps for boot in known], dtype=np.bool_)
    through, changed = after.copy(), {}
    for at in np.flatnonzero(~plain).tolist():
        before = gaps.get((int(runs.meter_key[at]), int(runs.boot[at])), ())
        progress = advance(Progress(int(highest[at]), before), runs.numbers(at))
        after[at], through[at] = progress.highest, progress.committed_through
        changed[at] = before, progress.gaps
    return Advanced(after, through, changed)


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark where a value differs from the one before it; the first one does."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def advance(progress: Progress, seqs: Iterable[int]) -> Progress:
    """Note newly committed sequence numbers, in any order and any number of times."""
    ordered = sorted(set(seqs))
    highest, first_new = progress.highest, bisect_right(ordered, progress.highest)
    gaps = _fill(progress.gaps, ordered[:first_new])
    for seq in ordered[first_new:]:
        if seq > highest + 1:
            gaps.append((highest + 1, seq - 1))
        highest = seq
    return Progress(highest, tuple(gaps))


def _fill(gaps: Gaps, seqs: list[int]) -> list[tuple[int, int]]:
    """Take ascending numbers out of the gaps; one pass over both, for there can be very many of each."""
    left, at = [], 0
    for gap_first, last in gaps:
        first = gap_first
        while at < len(seqs) and seqs[at] <= last:
            if first < seqs[at]:
                left.append((first, seqs[at] - 1))
            first = max(first, seqs[at] + 1)
            at += 1
        if first <= last:
            left.append((first, last))
    return left
