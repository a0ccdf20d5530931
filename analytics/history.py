"""Whole histories: every check over a file's readings, and the joining of episodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analytics.block import Floats
from analytics.episodes import ONGOING_US, Episodes
from analytics.pipeline import UTC_OFFSET_S, Evaluation, evaluate, evaluate_clock, in_order, initial_state
from analytics.segments import Mask
from fleet.meter_table import MeterTable
from fleet.readings import ReadingBatch


def evaluate_history(
    readings: ReadingBatch,
    meters: MeterTable,
    now_us: int | None = None,
    utc_offset_s: NDArray[np.int64] | int = UTC_OFFSET_S,
) -> Evaluation:
    """Run every check over a whole history, those that depend on the time as of `now_us`.

    Parameters
    ----------
    readings
        Sorted by meter and device time; every `meter_key` in `meters`.
    meters
        Shape (m,).
    now_us
        Microseconds since 1970 UTC; None for the newest device time of the readings.
    utc_offset_s
        Local time less UTC, for the registry's dates.

    Returns
    -------
    As `evaluate` from an initial state; the episodes are those of the whole history, with
    overlapping ones of one meter, check and part joined, sorted by meter and start.

    """
    done = evaluate(readings, meters, initial_state(len(meters)))
    if now_us is None:
        if len(readings) == 0:
            return done
        now_us = int(readings.device_time_us.max())
    by_clock = evaluate_clock(meters, done.state, now_us, now_us, utc_offset_s)
    return replace(done, episodes=joined(Episodes.concatenate([done.episodes, by_clock])))


def newest(runs: list[Episodes]) -> Episodes:
    """Keep the last word on each episode that several runs, in order, spoke of.

    A run that continues an episode tells all of it again, so the later one replaces the earlier.
    Two are the same if meter, check, part and start agree, and the earlier had not ended; two of one
    run never are.
    """
    whole = Episodes.concatenate(runs)
    keys = np.stack([whole.meter_key, whole.check, whole.part, whole.started_us])
    _, same = np.unique(keys, axis=1, return_inverse=True)
    run = np.repeat(np.arange(len(runs)), [len(told) for told in runs])
    last = np.zeros(len(whole), dtype=np.intp)
    np.maximum.at(last, same, run)
    told_again = (whole.ended_us == ONGOING_US) & (run < last[same])
    return in_order(whole.take(~told_again))


def joined(episodes: Episodes) -> Episodes:
    """Join overlapping episodes of one meter, check and part; count readings of both, keep the worst.

    Only checks that watch several sensors have such (a temperature and a register misread at once);
    for all of those the larger value is the worse one.
    """
    if len(episodes) == 0:
        return episodes
    order = np.lexsort((episodes.started_us, episodes.part, episodes.check, episodes.meter_key))
    sorted_ = episodes.take(order)
    heads = np.flatnonzero(_begins(sorted_))
    whole = sorted_.take(heads)
    return in_order(
        replace(
            whole,
            flag=np.maximum.reduceat(sorted_.flag, heads),
            ended_us=np.maximum.reduceat(sorted_.ended_us, heads),
            readings=np.add.reduceat(sorted_.readings, heads),
            value=_worst(sorted_.value, heads),
        )
    )


def _begins(episodes: Episodes) -> Mask:
    """Mark, in sorted episodes, those that none before of their kind still reaches."""
    kind = np.stack([episodes.meter_key, episodes.check, episodes.part])
    new_kind = np.append(True, (kind[:, 1:] != kind[:, :-1]).any(axis=0))
    # Ranks stand in for the ends, lifted from kind to kind, so that one running maximum serves all.
    order = np.argsort(episodes.ended_us, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    lift = np.cumsum(new_kind) * len(order)
    reach = episodes.ended_us[order[np.maximum.accumulate(rank + lift) - lift]]
    begins: Mask = new_kind.copy()
    begins[1:] |= episodes.started_us[1:] >= reach[:-1]
    return begins


def _worst(value: Floats, heads: NDArray[np.intp]) -> Floats:
    worst: Floats = np.fmax.reduceat(value, heads)
    return worst
