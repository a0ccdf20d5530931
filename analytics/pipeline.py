"""All checks over a batch of readings, with each meter's carried state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.battery.overdue import battery_overdue
from analytics.block import Block, Flags, Revisions, Verdict, silent_limit_us
from analytics.checks import CHECKS, READING_CHECKS
from analytics.data.dropout import blanked_in_use, dropout, registers
from analytics.data.silence import silence_horizon_us, silent_now
from analytics.episodes import Episodes
from analytics.oil import oil_service
from analytics.segments import Segments
from analytics.state import STATE_DTYPE, STATE_LAYOUT, initial_state
from fleet.flags import Flag, worst
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

__all__ = [
    "CLOCK_CHECKS",
    "READING_CHECKS",
    "STATE_DTYPE",
    "STATE_LAYOUT",
    "Evaluation",
    "evaluate",
    "evaluate_clock",
    "initial_state",
    "silence_horizon_us",
]

#: Decided by `evaluate_clock` alone; `meter_silent` is decided by both.
CLOCK_CHECKS = frozenset({"battery_overdue", "oil_due_soon", "oil_overdue"})

#: China's one time zone.
UTC_OFFSET_S = 8 * 3600

#: Readings that are worked on together: few enough to stay in the processor's cache.
_BLOCK_READINGS = 32_768


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What the checks say of n new readings."""

    #: Check code -> one flag per reading, shape (n,).
    flags: dict[str, Flags]
    #: Those that touch the new readings: begun, continued or ended by them. One that went on before
    #: has the onset, count and worst value of its whole life.
    episodes: Episodes
    #: Shape (m,), to be handed in with the next readings.
    state: NDArray[np.void]
    #: Flags of earlier readings that had to wait for these.
    revised: Revisions


def evaluate(
    readings: ReadingBatch,
    meters: MeterTable,
    state: NDArray[np.void],
) -> Evaluation:
    """Run every check on new readings. Cutting a history anywhere gives the same findings.

    Parameters
    ----------
    readings
        Sorted by meter and device time, none earlier than what the state has seen; every
        `meter_key` in `meters`. Several readings of one meter at one time are taken in order.
    meters
        Shape (m,), with every limit resolved.
    state
        Shape (m,), `STATE_DTYPE`, aligned with `meters`; `initial_state` where nothing was carried.
        It is not changed.

    """
    after = state.copy()
    flags = {code: np.empty(len(readings), dtype=np.uint8) for code in READING_CHECKS}
    episodes: list[Episodes] = []
    revised: list[Revisions] = []
    rows = meters.rows_of(readings.meter_key)
    for part in _parts(rows):
        touched = np.unique(rows[part])
        verdict = _judge(_block(readings.take(part), meters.take(touched), state[touched]))
        for code in READING_CHECKS:
            flags[code][part] = verdict.flags[code]
        for name, values in verdict.state.items():
            after[name][touched] = values
        episodes += verdict.episodes
        revised += verdict.revised
    return Evaluation(
        flags=flags,
        episodes=in_order(Episodes.concatenate(episodes)),
        state=after,
        revised=Revisions.concatenate(revised),
    )


def evaluate_clock(
    meters: MeterTable,
    state: NDArray[np.void],
    now_us: int,
    horizon_us: NDArray[np.int64] | int,
    utc_offset_s: NDArray[np.int64] | int = UTC_OFFSET_S,
) -> Episodes:
    """Find everything that the passing of time alone brings about: the whole present truth.

    These are ongoing `meter_silent`, `battery_overdue`, `oil_due_soon` and `oil_overdue`; what is
    not among them is not so, or no longer.

    Parameters
    ----------
    meters, state
        Shape (m,), as in `evaluate`.
    now_us
        The present, microseconds since 1970 UTC.
    horizon_us
        Shape (m,) or one number: device time up to which data must have come; see `silence_horizon_us`.
    utc_offset_s
        Shape (m,) or one number: local time of the company less UTC, for the registry's dates.

    """
    offset = np.broadcast_to(np.asarray(utc_offset_s, dtype=np.int64), len(meters))
    horizon = np.broadcast_to(np.asarray(horizon_us, dtype=np.int64), len(meters))
    return in_order(
        Episodes.concatenate(
            [
                silent_now(meters, state, horizon),
                battery_overdue(meters, now_us, offset),
                oil_service(meters, state, now_us, offset),
            ]
        )
    )


def in_order(episodes: Episodes) -> Episodes:
    """Sort by meter, then by start, check and part."""
    order = np.lexsort((episodes.part, episodes.check, episodes.started_us, episodes.meter_key))
    return episodes.take(order)


def _parts(rows: NDArray[np.intp]) -> Iterator[slice]:
    """Cut readings into blocks, between meters only."""
    borders = np.append(np.flatnonzero(np.diff(rows, prepend=-1)), len(rows))
    start = 0
    while start < len(rows):
        at = np.searchsorted(borders, start + _BLOCK_READINGS, side="right") - 1
        stop = int(max(borders[at], borders[np.searchsorted(borders, start, side="right")]))
        yield slice(start, stop)
        start = stop


def _block(readings: ReadingBatch, meters: MeterTable, state: NDArray[np.void]) -> Block:
    seg = Segments.of(meters.rows_of(readings.meter_key))
    blank = blanked_in_use(readings, seg, state, dropout(readings))
    volume_m3, std_volume_m3 = registers(readings, blank, meters.register_step_m3[seg.row])
    return Block(
        readings=readings,
        meters=meters,
        state=state,
        seg=seg,
        dropout=blank,
        volume_m3=volume_m3,
        std_volume_m3=std_volume_m3,
        silent_limit_us=silent_limit_us(meters),
    )


def _judge(block: Block) -> Verdict:
    whole = Verdict()
    for check in CHECKS:
        verdict = check.run(block)
        for code, flags in verdict.flags.items():
            whole.flags[code] = _join(whole.flags.get(code), flags, block)
        whole.episodes += verdict.episodes
        whole.revised += verdict.revised
        whole.state |= verdict.state
    return whole


def _join(earlier: Flags | None, flags: Flags, block: Block) -> Flags:
    """Two checks may speak of one code; of a dropout frame neither does."""
    if earlier is None:
        return flags
    both = worst(earlier, flags)
    both[block.dropout] = Flag.UNKNOWN
    return both
