"""How far each start of a meter is stored without a hole, and which holes there are; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Sequence numbers of a boot begin here at the latest; a meter may begin with 0.
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
