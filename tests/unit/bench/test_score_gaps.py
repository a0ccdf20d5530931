"""Holes in a meter's numbers, as the score finds them."""

from __future__ import annotations

import numpy as np

from analytics.episodes import ONGOING_US
from bench.score.gaps import gap_findings
from fleet.meter_table import MeterTable
from fleet.meters import Meter
from fleet.readings import ReadingBatch

MINUTE_US = 60_000_000
END = 1000


def found(*arrived: tuple[int, int]) -> list[tuple]:
    """Judge (seq, minute of arrival) of one meter; gives (found, said, ended, missing) in minutes."""
    meter = Meter(
        meter_id="m1",
        company="c1",
        customer="Bakery",
        customer_kind="commercial",
        reading_class="daily",
        technology="roots",
    )
    seq, minute = (np.array(column, dtype=np.int64) for column in zip(*arrived, strict=True))
    readings = ReadingBatch.build(
        len(seq),
        meter_key=np.zeros(len(seq)),
        seq=seq,
        device_time_us=seq,
        received_us=minute * MINUTE_US,
    )
    findings = gap_findings(readings, MeterTable.build([meter]), END * MINUTE_US)
    e = findings.episodes
    ended = [None if us == ONGOING_US else us // MINUTE_US for us in e.ended_us.tolist()]
    times = [(us // MINUTE_US).tolist() for us in (e.started_us, findings.decided_us)]
    return list(zip(*times, ended, e.readings.tolist(), strict=True))


def test_a_number_that_never_comes_is_missed_half_an_hour_later():
    assert found((1, 0), (2, 10), (5, 40), (6, 50), (7, 60)) == [(40, 70, None, 2)]


def test_what_comes_within_half_an_hour_was_never_missed():
    assert found((1, 0), (3, 20), (2, 49), (4, 60)) == []
    assert found((1, 0), (3, 20), (2, 51), (4, 60)) == [(20, 50, 51, 1)]


def test_an_older_hole_goes_on_where_a_newer_one_is_filled():
    assert found((2, 0), (4, 10), (3, 100), (1, 200), (5, 210)) == [(0, 30, 200, 2)]


def test_what_is_left_of_a_hole_is_as_old_as_the_whole():
    assert found((1, 0), (9, 20), (5, 45), (6, 300)) == [(20, 50, None, 6)]


def test_two_holes_apart_are_two_findings():
    assert found((1, 0), (3, 10), (2, 60), (4, 70), (6, 80), (5, 200)) == [(10, 40, 60, 1), (80, 110, 200, 1)]


def test_repeats_and_plain_runs_have_no_holes():
    assert found((1, 0), (2, 10), (2, 11), (3, 20), (1, 21), (4, 30)) == []
