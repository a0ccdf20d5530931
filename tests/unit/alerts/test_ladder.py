"""Where checkpoints are kept: borders of a meter's time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.ladder import NO_BORDER, RUNGS_H, border_rung, last_borders

HOUR_US = 3_600_000_000
#: Meter 0 is shifted by nothing: its borders are those of the clock.
KEYS = np.array([0], dtype=np.int32)


@pytest.mark.parametrize(
    ("sentence", "from_h", "to_h", "rung"),
    [
        ("Within an hour no border is crossed.", 7.1, 7.9, NO_BORDER),
        ("A full hour is the lowest rung's.", 7.9, 8.1, 0),
        ("A reading at the border has crossed it.", 7.9, 8.0, 0),
        ("One that stood at it before has not.", 8.0, 8.5, NO_BORDER),
        ("Six hours are the next one's.", 11.5, 12.0, 1),
        ("Of several borders the highest counts.", 30.0, 38.0, 2),
        ("After long silence, too.", 200.0, 1000.0, 3),
    ],
)
def test_the_highest_border_between_two_readings(sentence, from_h, to_h, rung):
    times = (np.array([int(hour * HOUR_US)]) for hour in (from_h, to_h))
    assert border_rung(KEYS, *times).tolist() == [rung], sentence


def test_the_last_two_borders_of_each_rung():
    hours = last_borders(KEYS, np.array([int(437.5 * HOUR_US)])) / HOUR_US
    assert hours.tolist() == [[216, 396, 426, 432, 432, 432, 436, 437]]


def test_the_borders_of_a_fleet_are_spread_over_the_hour():
    keys = np.arange(10_000, dtype=np.int32)
    start = np.full(len(keys), 480_000 * HOUR_US)
    for minute in range(0, 60, 5):
        began = start + minute * HOUR_US // 60
        crossing = (border_rung(keys, began, began + HOUR_US // 12) != NO_BORDER).mean()
        assert crossing == pytest.approx(1 / 12, rel=0.1)


@given(key=st.integers(0, 2**31 - 1), hours=st.integers(400_000, 600_000), late_h=st.integers(1, 216))
def test_a_late_reading_has_a_border_at_most_two_rungs_widths_before(key, hours, late_h):
    borders = last_borders(np.array([key], dtype=np.int32), np.array([hours * HOUR_US]))[0]
    width_h = min(width for width in RUNGS_H if width >= late_h)
    before = [at for at in borders.tolist() if at <= (hours - late_h) * HOUR_US]
    assert before
    assert hours * HOUR_US - max(before) <= 2 * width_h * HOUR_US
