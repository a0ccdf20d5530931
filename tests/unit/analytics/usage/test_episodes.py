"""Episodes of days: where they may begin, and what is carried of those that are over."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.episodes import Episodes
from analytics.history import newest
from analytics.usage.episodes import disjoint, no_slow_open, track_days
from analytics.usage.verdict import DayFlags
from fleet.flags import Flag
from fleet.readings import ABSENT

DAY_US = 86_400_000_000
FLAGS = {"g": Flag.GOOD, "u": Flag.UNKNOWN, "S": Flag.SUSPECT, "F": Flag.FAIL, "-": Flag.MISSING}
KEYS = np.array([7], dtype=np.int32)


def said(flags: str, onset_day: int, name: str = "small_continuous_flow") -> DayFlags:
    """Make what a check says of the days of one meter; each condition began on one day."""
    shape = (1, len(flags))
    return DayFlags(
        code=name.removesuffix("_up").removesuffix("_down"),
        name=name,
        flag=np.array([[FLAGS[letter] for letter in flags]], dtype=np.uint8),
        value=np.ones(shape),
        limit=np.ones(shape),
        onset_us=np.full(shape, onset_day * DAY_US),
        origin=np.zeros(1, dtype=np.uint8),
    )


def track(parts: list[DayFlags], from_day: int, carried: np.ndarray) -> tuple[Episodes, np.ndarray]:
    days = np.arange(from_day, from_day + parts[0].flag.shape[1]) * DAY_US
    found = []
    for part in disjoint(parts, days, carried):
        episodes, carried = track_days(part, days, KEYS, carried)
        found.append(episodes)
    return Episodes.concatenate(found), carried


def spans(episodes: Episodes) -> list[tuple[int, int | None]]:
    ends = [end // DAY_US if end < 2**62 else None for end in episodes.ended_us.tolist()]
    rows = zip((episodes.started_us // DAY_US).tolist(), ends, strict=True)
    return sorted(rows, key=lambda span: (span[0], span[1] or np.inf))


@pytest.mark.parametrize("cut", range(8))
def test_an_onset_reaches_no_further_back_than_to_the_end_of_the_last_one(cut: int) -> None:
    flags = "gSgSugFF"
    first, carried = track([said(flags[:cut], 95)], 100, no_slow_open(1))
    second, carried = track([said(flags[cut:], 95)], 100 + cut, carried)
    assert spans(newest([first, second])) == [(95, 102), (102, 105), (105, None)]
    assert carried["small_continuous_flow"]["started_us"].tolist() == [105 * DAY_US]


@pytest.mark.parametrize("cut", range(5))
def test_more_use_and_less_never_overlap(cut: int) -> None:
    more, less = "SgggS", "gSSgg"
    parts = [
        [said(more[at], 98, "usage_shift_up"), said(less[at], 98, "usage_shift_down")]
        for at in (slice(0, cut), slice(cut, 5))
    ]
    first, carried = track(parts[0], 100, no_slow_open(1))
    second, _ = track(parts[1], 100 + cut, carried)
    assert spans(newest([first, second])) == [(98, 101), (101, 103), (103, None)]


def test_two_checks_may_overlap() -> None:
    one, two = said("Sg", 98, "small_continuous_flow"), said("gS", 98, "night_flow")
    assert spans(track([one, two], 100, no_slow_open(1))[0]) == [(98, 101), (98, None)]


def test_an_end_is_carried_for_two_weeks_and_forgotten_then() -> None:
    _, carried = track([said("Sg" + "g" * 13, 100)], 100, no_slow_open(1))
    assert spans(track([said("S", 100)], 115, carried)[0]) == [(101, None)]
    _, later = track([said("g" * 2, 0)], 115, carried)
    assert later["small_continuous_flow"]["ended_us"].tolist() == [101 * DAY_US]
    _, later = track([said("g", 0)], 117, later)
    assert later.tobytes() == no_slow_open(1).tobytes()
    assert later["small_continuous_flow"]["ended_us"].tolist() == [ABSENT]
