"""Runs of bad samples: where they may begin, however the samples are cut."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.episodes import ONGOING_US
from analytics.history import newest
from analytics.open_episodes import nothing_open
from analytics.segments import Segments
from analytics.tracking import Decisions, Tracker
from fleet.flags import Flag

KEYS = np.array([1, 2], dtype=np.int32)
#: Of two meters, at times 10, 20, ...; the condition of both began at 5.
FLAGS = np.array([[Flag.GOOD, Flag.SUSPECT, Flag.GOOD, Flag.UNKNOWN, Flag.SUSPECT, Flag.SUSPECT, Flag.GOOD,
                   Flag.SUSPECT], [Flag.SUSPECT] * 8], dtype=np.uint8)  # fmt: skip


def _track(samples: slice, carried: np.ndarray):
    flags = FLAGS[:, samples]
    times = np.tile(np.arange(10, 90, 10)[samples], 2)
    decisions = Decisions(
        seg=Segments.of(np.repeat([0, 1], flags.shape[1])),
        time_us=times,
        flag=flags.ravel(),
        value=np.ones(flags.size),
        onset_us=np.full(flags.size, 5),
    )
    return Tracker(code="flow_stuck").track(decisions, carried, KEYS, 1.0)


@pytest.mark.parametrize("cut", range(9))
def test_none_begins_before_the_end_of_the_last_one(cut: int):
    first, carried = _track(slice(0, cut), nothing_open(2))
    second, _ = _track(slice(cut, 8), carried)
    whole = newest([first, second])
    columns = (whole.meter_key, whole.started_us, whole.ended_us, whole.readings)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == [
        (1, 5, 30, 1),
        (1, 30, 70, 2),
        (1, 70, ONGOING_US, 1),
        (2, 5, ONGOING_US, 8),
    ]


def test_what_another_rule_ended_counts_too():
    _, carried = _track(slice(7, 8), nothing_open(2))
    ended_us = np.array([82, 82])
    _, left = Tracker(code="flow_stuck").end(carried, np.array([True, True]), KEYS, ended_us)
    again, _ = _track(slice(7, 8), left)
    assert again.started_us.tolist() == [82, 82]
