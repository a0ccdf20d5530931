"""How far each start of a meter is stored without a hole, and which holes there are; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Number of the meter, and of its start.
Boot = tuple[int, int]

#: Sequence numbers of a boot begin here; a reading numbered 0 is stored, and not accounted for.
FIRST_SEQ = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """What of one (meter, boot) is committed."""

    highest: int = FIRST_SEQ - 1
    #: Ranges [from, to], both inclusive, ascending, below `highest`.
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def committed_through(self) -> int:
        """All of the boot up to this number is committed."""
        return self.gaps[0][0] - 1 if self.gaps else self.highest


_NOTHING = Progress()


def advance_all(
    before: Mapping[Boot, Progress],
    meter_key: NDArray[np.integer],
    boot: NDArray[np.int64],
    seq: NDArray[np.int64],
) -> dict[Boot, Progress]:
    """Note newly committed sequence numbers of many boots, arrays of shape (n,); gives those touched."""
    if len(seq) == 0:
        return {}
    order = np.lexsort((seq, boot, meter_key))
    meter_key, boot, seq = meter_key[order], boot[order], seq[order]
    new_boot = np.append(True, (np.diff(meter_key) != 0) | (np.diff(boot) != 0))
    fresh = new_boot | np.append(True, np.diff(seq) != 0)
    heads = np.flatnonzero(new_boot)
    ends = np.append(heads[1:], len(seq))
    first, last = seq[heads], seq[ends - 1]
    unbroken = last - first + 1 == np.add.reduceat(fresh, heads, dtype=np.int64)
    runs = (meter_key[heads], boot[heads], first, last, unbroken, heads, ends)
    after: dict[Boot, Progress] = {}
    for key, number, low, high, whole, head, end in zip(*(run.tolist() for run in runs), strict=True):
        progress = before.get((key, number), _NOTHING)
        if whole and low == progress.highest + 1:
            after[key, number] = Progress(high, progress.gaps)
        else:
            after[key, number] = advance(progress, seq[head:end].tolist())
    return after


def advance(progress: Progress, seqs: Iterable[int]) -> Progress:
    """Note newly committed sequence numbers, in any order and any number of times."""
    highest, gaps = progress.highest, list(progress.gaps)
    for seq in sorted(set(seqs)):
        if seq == highest + 1:
            highest = seq
        elif seq > highest:
            gaps.append((highest + 1, seq - 1))
            highest = seq
        elif gaps:
            gaps = _fill(gaps, seq)
    return Progress(highest, tuple(gaps))


def _fill(gaps: list[tuple[int, int]], seq: int) -> list[tuple[int, int]]:
    filled = []
    for first, last in gaps:
        if not first <= seq <= last:
            filled.append((first, last))
            continue
        if first < seq:
            filled.append((first, seq - 1))
        if seq < last:
            filled.append((seq + 1, last))
    return filled
