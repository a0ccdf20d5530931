"""All checks over a batch of readings, with each meter's carried state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.battery.overdue import battery_overdue
from analytics.block import Block, Flags, Revisions, Verdict
from analytics.checks import CHECKS, READING_CHECKS
from analytics.data.dropout import blanked_in_use, dropout, registers
from analytics.data.silence import silence_horizon_us, silent_now
from analytics.episodes import Episodes
from analytics.midnight import UTC_OFFSET_S
from analytics.oil.service import oil_service
from analytics.segments import Positions, Segments
from analytics.silence_limit import silent_limit_us
from analytics.state import STATE_DTYPE, STATE_LAYOUT, initial_state
from fleet.flags import Flag, worst
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch

__all__ = [
    "CLOCK_CHECKS",
    "READING_CHECKS",
    "STATE_DTYPE",
    "STATE_LAYOUT",
    "UTC_OFFSET_S",
    "Evaluation",
    "evaluate",
    "evaluate_blocks",
    "evaluate_clock",
    "initial_state",
    "silence_horizon_us",
]

#: Decided by `evaluate_clock` alone; `meter_silent` is decided by both.
CLOCK_CHECKS = frozenset({"battery_overdue", "oil_due_soon", "oil_overdue"})


#: Readings that are worked on together: few enough that a block's columns stay near the processor, enough
#: that the thousand calls of all checks cost little beside them.
_BLOCK_READINGS = 262_144


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
    flags = {code: np.empty(len(readings), dtype=np.uint8) for code in READING_CHECKS}
    after = state.copy()
    episodes: list[Episodes] = []
    revised: list[Revisions] = []
    for part, verdict in evaluate_blocks(readings, meters, after):
        for code in READING_CHECKS:
            flags[code][part] = verdict.flags[code]
        episodes += verdict.episodes
        revised += verdict.revised
    return Evaluation(
        flags=flags,
        episodes=in_order(Episodes.concatenate(episodes)),
        state=after,
        revised=Revisions.concatenate(revised),
    )


def evaluate_blocks(
    readings: ReadingBatch, meters: MeterTable, state: NDArray[np.void]
) -> Iterator[tuple[slice, Verdict]]:
    """Run every check block by block, for who does not want to hold all flags at a time.

    Parameters
    ----------
    readings, meters
        As in `evaluate`.
    state
        As in `evaluate`, but brought up to date in place.

    Yields
    ------
    Which readings, and what the checks say of them. Episodes are in no order.

    """
    for part in _parts(readings.meter_key):
        rows = _rows_of(meters, readings.meter_key[part])
        verdict = _judge(_block(readings.take(part), meters, state, rows))
        chosen = _chosen(rows.meters)
        for name, values in verdict.state.items():
            state[name][chosen] = values
        yield part, verdict


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


def _parts(key: NDArray[np.int32]) -> Iterator[slice]:
    """Cut readings into blocks, between meters only."""
    start, n = 0, len(key)
    while start < n:
        stop = n
        if start + _BLOCK_READINGS < n:
            next_key = key[start + _BLOCK_READINGS]
            stop = int(np.searchsorted(key, next_key))
            if stop <= start:
                stop = int(np.searchsorted(key, next_key, side="right"))
        yield slice(start, stop)
        start = stop


def _rows_of(meters: MeterTable, key: NDArray[np.int32]) -> Segments:
    """Find each meter's readings, and its row among all."""
    seg = Segments.of(key)
    return replace(seg, meters=meters.rows_of(key[seg.starts]))


def _chosen(rows: Positions) -> Positions | slice:
    """Give a slice where rows stand together: it needs no copy."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _block(readings: ReadingBatch, meters: MeterTable, state: NDArray[np.void], rows: Segments) -> Block:
    chosen = _chosen(rows.meters)
    meters, state = meters.take(chosen), state[chosen]
    seg = Segments(len(rows), rows.starts, np.arange(len(rows.starts)))
    blank = blanked_in_use(readings, seg, state, dropout(readings))
    volume_m3, std_volume_m3 = registers(readings, blank, seg.spread(meters.register_step_m3))
    return Block(
        readings=readings,
        meters=meters,
        state=state,
        seg=seg,
        dropout=blank,
        blanked=bool(blank.any()),
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
    if block.blanked:
        both[block.dropout] = Flag.UNKNOWN
    return both
