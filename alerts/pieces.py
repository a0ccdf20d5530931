"""Evaluating readings in pieces, to keep the states in between; pure.

A run of the checks over a piece continues what the run before left open and tells all of it
again. What a whole run would have told is therefore: every episode that ended, and those that the
last state has open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alerts.arrivals import Arrivals, arrivals
from alerts.checkpoints import Kept
from alerts.ladder import NO_BORDER, border_rung, last_borders
from analytics.episodes import ONGOING_US, Episodes
from analytics.open_episodes import still_open
from analytics.pipeline import Evaluation, evaluate
from analytics.state import TRACKED
from fleet.checks import BY_CODE
from fleet.columns import Columns
from fleet.meter_table import MeterTable
from fleet.readings import ABSENT, ReadingBatch

#: Meter, check, part and onset: what makes two tellings one episode.
_Which = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Told(Columns):
    """What an evaluation found, and when the readings arrived that decided it."""

    episodes: Episodes
    arrivals: Arrivals

    @classmethod
    def empty(cls) -> Self:
        """Make nothing found."""
        return cls(Episodes.empty(), Arrivals.empty())


def tell(readings: ReadingBatch, evaluation: Evaluation) -> Told:
    """Pair what an evaluation found with the arrivals behind it."""
    return Told(evaluation.episodes, arrivals(readings, evaluation))


def with_untouched(told: Told, meters: MeterTable, state: NDArray[np.void]) -> Told:
    """Add what is open at another sensor of a meter where an episode of the same check ended.

    One alarm stands for all sensors (two batteries, three registers): it goes on while any of them
    does, whether or not the new readings said anything of that one.
    """
    ended = told.episodes.ended_us != ONGOING_US
    several = np.isin(told.episodes.check, _SEVERAL)
    if not (ended & several).any():
        return told
    rows = meters.rows_of(np.unique(told.episodes.meter_key[ended & several]))
    open_ = open_episodes(meters.meter_key[rows], state[rows])
    known = set(_keys(told.episodes.take(~ended)))
    at = [i for i, key in enumerate(_keys(open_)) if key[1] in _SEVERAL and key not in known]
    untouched = open_.take(np.array(at, dtype=np.intp))
    return Told.concatenate([told, Told(untouched, Arrivals.unknown(len(untouched)))])


def evaluate_again(
    readings: ReadingBatch, meters: MeterTable, state: NDArray[np.void]
) -> tuple[Told, NDArray[np.void], list[Kept]]:
    """Evaluate readings from earlier states, in pieces that end at the borders worth keeping.

    Gives everything found since those states, with what they had open and still is; the new
    states; and those to keep. Shapes and order as in `analytics.pipeline.evaluate`.
    """
    told: list[Told] = []
    kept: list[Kept] = []
    state = state.copy()
    seen = np.zeros(len(meters), dtype=np.bool_)
    piece = _pieces(readings, meters)
    for number in np.unique(piece):
        part = readings.take(piece == number)
        keys, first = np.unique(part.meter_key, return_index=True)
        rows = meters.rows_of(keys)
        kept.append(_passed(keys, state[rows], part.device_time_us[first], seen[rows]))
        result = evaluate(part, meters, state)
        told.append(tell(part, result))
        state = result.state
        seen[rows] = True
    return (
        _last_words(Told.concatenate(told), meters.meter_key, state),
        state,
        [k for k in kept if len(k.rung)],
    )


def open_episodes(meter_key: NDArray[np.int32], state: NDArray[np.void]) -> Episodes:
    """List the episodes that states have open; a state holds neither their limits nor whose those are."""
    return Episodes.concatenate(
        [still_open(code, part, state[name], meter_key) for name, code, part in TRACKED.values()]
    )


#: Numbers of the checks that several fields of the state track.
_SEVERAL = [
    BY_CODE[code].number
    for code, fields in Counter(tracked.code for tracked in TRACKED.values()).items()
    if fields > 1
]


def _pieces(readings: ReadingBatch, meters: MeterTable) -> NDArray[np.intp]:
    """Tell the piece of each reading: how many of its meter's borders lie before it or at it."""
    rows = meters.rows_of(readings.meter_key)
    last_us = np.full(len(meters), ABSENT, dtype=np.int64)
    np.maximum.at(last_us, rows, readings.device_time_us)
    borders = last_borders(meters.meter_key, last_us)
    number = np.zeros(len(readings), dtype=np.intp)
    for column in borders.T:
        number += column[rows] <= readings.device_time_us
    return number


def _passed(
    keys: NDArray[np.int32],
    state: NDArray[np.void],
    next_us: NDArray[np.int64],
    seen: NDArray[np.bool_],
) -> Kept:
    """Take the states of meters that were evaluated before and cross a border now."""
    rung = border_rung(keys, state["last_time_us"], next_us)
    rows = np.flatnonzero(seen & (rung != NO_BORDER))
    return Kept(keys[rows], rung[rows], state[rows])


def _last_words(told: Told, meter_key: NDArray[np.int32], state: NDArray[np.void]) -> Told:
    """Keep what ended, and put what is open in the end in the place of all that went on for a while."""
    over = told.episodes.ended_us != ONGOING_US
    going_on, ended = told.take(~over), told.take(over)
    first, last = _first_and_last(going_on.episodes)
    for at, key in enumerate(_keys(ended.episodes)):
        if key in first:
            # It began in an earlier piece; the arrays are this function's own.
            ended.arrivals.began_us[at] = going_on.arrivals.began_us[first[key]]
    open_ = open_episodes(meter_key, state)
    limit, origin, when = open_.limit.copy(), open_.origin.copy(), Arrivals.unknown(len(open_))
    for at, key in enumerate(_keys(open_)):
        if key in last:
            limit[at] = going_on.episodes.limit[last[key]]
            origin[at] = going_on.episodes.origin[last[key]]
            when.newest_us[at] = going_on.arrivals.newest_us[last[key]]
            when.began_us[at] = going_on.arrivals.began_us[first[key]]
            when.failed_us[at] = going_on.arrivals.failed_us[last[key]]
    return Told.concatenate([ended, Told(replace(open_, limit=limit, origin=origin), when)])


def _keys(episodes: Episodes) -> list[_Which]:
    columns = (episodes.meter_key, episodes.check, episodes.part, episodes.started_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _first_and_last(episodes: Episodes) -> tuple[dict[_Which, int], dict[_Which, int]]:
    keys = _keys(episodes)
    first = {key: len(keys) - 1 - back for back, key in enumerate(reversed(keys))}
    return first, {key: at for at, key in enumerate(keys)}
