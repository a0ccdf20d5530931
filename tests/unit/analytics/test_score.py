"""Eight findings against seven labels, worked out by hand; times in hours."""

from typing import Any

import numpy as np
import pytest

from analytics.episodes import ONGOING_US, Episodes
from analytics.score import (
    false_findings,
    false_pages_per_1000_meter_weeks,
    meter_weeks,
    missed_labels,
    score,
    undecided_pages_per_1000_meter_weeks,
)
from analytics.truth import Findings, Kind, Truth
from fleet.checks import BY_CODE
from fleet.flags import Flag

HOUR_US = 3_600_000_000
STALLED, SILENT, RANGE = (
    BY_CODE[code].number for code in ("register_stalled", "meter_silent", "flow_over_range")
)
WEAK, NOMINAL = 0, 1


def truth(*rows: tuple[int, int, Kind, int, float, float]) -> Truth:
    """Meter, check, kind, level, from, until; half an hour of slack, decidable after one hour."""
    columns = list(zip(*rows, strict=True)) or [()] * 6
    from_us = np.array(columns[4], dtype=float) * HOUR_US
    return Truth.build(
        meter_key=columns[0],
        check=columns[1],
        kind=columns[2],
        level=columns[3],
        from_us=from_us,
        until_us=np.array(columns[5], dtype=float) * HOUR_US,
        decidable_us=from_us + HOUR_US,
        slack_us=HOUR_US // 2,
    )


def findings(*rows: tuple[int, int, Flag, float, float | None, float]) -> Findings:
    """Meter, check, flag, start, end, decided."""
    ends = [ONGOING_US if end is None else round(end * HOUR_US) for *_, end, _ in rows]
    columns: list[Any] = list(zip(*rows, strict=True))
    episodes = Episodes.build(
        meter_key=columns[0],
        check=columns[1],
        flag=columns[2],
        part=0,
        started_us=np.array(columns[3]) * HOUR_US,
        ended_us=ends,
        readings=1,
        value=0.0,
        limit=0.0,
    )
    return Findings(episodes, (np.array(columns[5]) * HOUR_US).astype(np.int64))


TRUTH = truth(
    (1, STALLED, Kind.FAULT, NOMINAL, 10, 20),
    (2, STALLED, Kind.FAULT, NOMINAL, 10, 20),
    (3, STALLED, Kind.FAULT, WEAK, 10, 20),
    (4, SILENT, Kind.UNDECIDED, NOMINAL, 10, 20),
    (5, SILENT, Kind.TOLERATED, NOMINAL, 10, 20),
    (5, RANGE, Kind.EFFECT, NOMINAL, 10, 20),
    (5, STALLED, Kind.FAULT, NOMINAL, 10, 20),
)
FOUND = findings(
    (1, STALLED, Flag.SUSPECT, 9, 9.9, 12),  # ends within the slack before it: right
    (1, STALLED, Flag.SUSPECT, 11, None, 13),  # right too, raised later
    (2, STALLED, Flag.SUSPECT, 20.5, 22, 21),  # begins as the slack ends: wrong, and the fault missed
    (3, STALLED, Flag.SUSPECT, 15, 16, 16),  # right, a weak one
    (4, SILENT, Flag.SUSPECT, 12, 13, 12),  # nobody knows
    (5, SILENT, Flag.SUSPECT, 19, 30, 19),  # tolerated
    (5, RANGE, Flag.SUSPECT, 19, 30, 19),  # an effect: right
    (6, RANGE, Flag.SUSPECT, 19, 30, 19),  # wrong, but it calls nobody
)


def test_each_check_has_its_precision_and_recall():
    scores = score(TRUTH, FOUND, (NOMINAL,))

    stalled = scores["register_stalled"]
    assert (stalled.true, stalled.false, stalled.false_pages) == (3, 1, 1)
    assert stalled.precision == pytest.approx(3 / 4)
    assert stalled.labels == {WEAK: 1, NOMINAL: 3}
    assert stalled.found == {WEAK: 1, NOMINAL: 1}
    assert stalled.recall(NOMINAL) == pytest.approx(1 / 3)
    assert stalled.recall(WEAK) == pytest.approx(1.0)


def test_delay_is_that_of_the_finding_raised_first_at_the_levels_that_count():
    stalled = score(TRUTH, FOUND, (NOMINAL,))["register_stalled"]

    assert stalled.delays_s.tolist() == [2 * 3600]
    assert stalled.delay_from_decidable_s() == pytest.approx(3600)
    assert sorted(score(TRUTH, FOUND, (WEAK, NOMINAL))["register_stalled"].delays_s) == [7200, 21600]


def test_what_nobody_can_tell_and_what_another_fault_causes_is_neither_right_nor_wrong():
    silent = score(TRUTH, FOUND, (NOMINAL,))["meter_silent"]

    assert (silent.true, silent.false, silent.undecided, silent.tolerated) == (0, 0, 1, 1)
    assert np.isnan(silent.precision)
    assert np.isnan(silent.recall(NOMINAL)), "an undecided label is no fault to be missed"


def test_an_effect_is_right_and_no_miss_and_a_minor_finding_is_no_page():
    over = score(TRUTH, FOUND, (NOMINAL,))["flow_over_range"]

    assert (over.true, over.false, over.false_pages) == (1, 1, 0)
    assert over.labels == {}


def test_a_failing_flag_pages_where_its_severity_says_so():
    failed = findings((6, RANGE, Flag.FAIL, 19, 30, 19))

    assert score(truth(), failed, (NOMINAL,))["flow_over_range"].false_pages == 1


def test_false_pages_are_counted_for_a_thousand_meters_and_a_week():
    scores = score(TRUTH, FOUND, (NOMINAL,))
    weeks = meter_weeks(50, 14 * 24 * HOUR_US)

    assert weeks == pytest.approx(100)
    assert false_pages_per_1000_meter_weeks(scores, weeks) == pytest.approx(10.0)
    # One silence that nobody can judge, and which calls somebody.
    assert undecided_pages_per_1000_meter_weeks(scores, weeks) == pytest.approx(10.0)
    assert scores["register_stalled"].undecided_pages == 0


def test_wrong_findings_and_missed_faults_can_be_listed():
    assert np.flatnonzero(false_findings(TRUTH, FOUND)).tolist() == [2, 7]
    assert np.flatnonzero(missed_labels(TRUTH, FOUND)).tolist() == [1, 6]


def test_another_meter_or_another_check_meets_nothing():
    other = findings((2, RANGE, Flag.SUSPECT, 10, 20, 11), (7, STALLED, Flag.SUSPECT, 10, 20, 11))

    assert false_findings(TRUTH, other).all()


def test_an_event_of_no_length_is_there_at_its_moment():
    event = findings((1, STALLED, Flag.SUSPECT, 15, 15, 15))

    assert not false_findings(TRUTH, event).any()


def test_nothing_found_has_recall_nothing_and_no_precision():
    nothing = Findings(Episodes.empty(), np.empty(0, np.int64))
    stalled = score(TRUTH, nothing, (NOMINAL,))["register_stalled"]

    assert stalled.recall(NOMINAL) == 0
    assert np.isnan(stalled.precision)
    assert np.isnan(stalled.delay_s())
