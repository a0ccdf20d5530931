"""All five checks over columns of any length, block by block, with what one block leaves to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.block import CHECKS, SPIKE, Block, Judged, Limits
from analytics.kernels.borders import Borders, Floats, Positions
from analytics.kernels.flat import Times
from analytics.kernels.samples import History
from fleet.readings import ABSENT

#: Readings that are worked on together: few enough to stay in the processor's cache.
BLOCK_READINGS = 131_072
#: Freed once, untouched, a piece of this size teaches glibc's allocator to keep smaller ones, instead of
#: handing a block's arrays back to the system and faulting them in again: half of the time otherwise.
_LARGE_BYTES = 24 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What is known of m meters when their next readings come."""

    #: Time of the last reading, whatever it carried; ABSENT before the first. Shape (m,).
    last_us: Times
    history: History

    @classmethod
    def nothing(cls, m: int) -> Self:
        """Begin with m meters that nothing was heard of."""
        return cls(np.full(m, ABSENT, dtype=np.int64), History.empty())


def judge_in_blocks(
    row: NDArray[Any],
    time_us: Times,
    value: Floats,
    limits: Limits,
    carried: Carried,
    sink: Callable[[Judged], None],
    block_readings: int = BLOCK_READINGS,
    out: NDArray[np.uint8] | None = None,
) -> Carried:
    """Judge n readings by all five checks and hand the flags of each block to `sink`.

    Cutting a history anywhere, and handing what is returned in with the rest, gives the same flags:
    those of `sink`, with a late flag in the place of an earlier UNKNOWN.

    A second reading of one time is UNKNOWN to rate, spike and flat line and no neighbour itself, for it
    cannot confirm the first; to range and gap it is a reading like any other. A reading without a
    value (NaN) is MISSING to all but the time gap, and passed over.

    Parameters
    ----------
    row
        Shape (n,), integers: each reading's meter, 0 to m-1, ascending.
    time_us
        Shape (n,), ascending within a meter and none earlier than what `carried` has seen.
    value
        Shape (n,), NaN where the reading has none.
    limits
        Of m meters.
    carried
        Of m meters; it is not changed.
    sink
        Called for each block, in order.
    block_readings
        Size of a block; a meter with more readings is cut.
    out
        Shape (5, n): where to put all flags; without it each block's are overwritten by the next one's.

    """
    np.empty(_LARGE_BYTES, dtype=np.uint8)
    last_us, history = carried.last_us.copy(), carried.history.of_earlier_run()
    touched = np.zeros(len(last_us), dtype=np.bool_)
    left, pending = [], History.empty()
    flags = np.empty((len(CHECKS), block_readings), dtype=np.uint8) if out is None else out
    with np.errstate(invalid="ignore", over="ignore"):
        for part, borders in _parts(row, block_readings):
            meter = row[part][borders.starts]
            before = _before(history, pending, touched, meter)
            block = Block(part.start, time_us[part], value[part], borders, meter, limits.take(meter))
            place = slice(borders.n) if out is None else part
            judged, rest = block.judge(last_us[meter], before, flags[:, place])
            last_us[meter], touched[meter] = block.last_us, True
            sink(judged)
            goes_on = part.stop < len(row) and row[part.stop] == meter[-1]
            cut = np.flatnonzero(rest.meter == meter[-1])[0] if goes_on and len(rest) else len(rest)
            left.append(rest.take(slice(cut)))
            pending = rest.take(slice(cut, None))
    left += [pending, history.take(~touched[history.meter])]
    return Carried(last_us, History.joined(left).of_earlier_run())


def five_checks(
    row: NDArray[Any], time_us: Times, value: Floats, limits: Limits, meters: int
) -> NDArray[np.uint8]:
    """Judge all there is of `meters` meters, and keep every flag: shape (5, n), in the order of `CHECKS`."""
    flags = np.empty((len(CHECKS), len(row)), dtype=np.uint8)

    def keep(judged: Judged) -> None:
        flags[SPIKE, judged.late_at] = judged.late_flag

    judge_in_blocks(row, time_us, value, limits, Carried.nothing(meters), keep, out=flags)
    return flags


def _before(history: History, pending: History, touched: NDArray[np.bool_], meter: Positions) -> History:
    """Choose what the meters of a block have of earlier ones: from before the run, or a block's cut."""
    if not len(history):
        return pending
    before = history.of_meters(meter)
    return History.joined([pending, before.take(~touched[before.meter])])


def _parts(row: NDArray[Any], block_readings: int) -> Iterator[tuple[slice, Borders]]:
    """Cut readings into blocks, between meters where that is possible."""
    start, n = 0, len(row)
    while start < n:
        stop = min(start + block_readings, n)
        # One more than the block, to see whether it ends with a meter.
        starts = Borders.ascending(row[start : stop + 1]).starts
        if stop < n and len(starts) > 1:
            stop = start + int(starts[-1])
        starts = starts[starts < stop - start]
        yield slice(start, stop), Borders.at(stop - start, starts)
        start = stop
