"""A small trial: what `make score` prints and writes."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from analytics.score import CheckScore
from bench.score.report import lines, report, table, to_json
from bench.score.trial import Size, Trial, run
from firmware_sim.faults import Level

SIZE = Size(meters=80, days=12, seed=5)


@pytest.fixture(scope="module")
def trial() -> Trial:
    return run(SIZE)


def test_the_report_has_for_each_check_what_was_promised(trial):
    read = json.loads(to_json([trial]))

    assert read["meter_weeks"] == pytest.approx(80 * 12 / 7, abs=0.1)
    assert read["false_pages_per_1000_meter_weeks"] == 0
    assert {"precision", "recall", "delay_s"} <= set(read["checks"]["battery_low"])
    assert read["checks"]["battery_low"]["recall"] == 1
    assert read["checks"]["battery_low"]["precision"] == 1
    # The voltage falls for six hours, and a report a day is enough.
    assert 0 < read["checks"]["battery_low"]["delay_s"] < 3 * 86400


def test_the_same_size_gives_the_same_report(trial):
    assert report(run(SIZE)) == report(trial)


def test_the_table_has_a_line_for_each_check(trial):
    laid_out = table(trial).splitlines()

    assert [line.split()[0] for line in laid_out[1:]] == sorted(trial.scores)
    assert len({len(line) for line in laid_out}) == 1


def test_a_check_that_finds_nothing_is_listed_with_what_it_missed(trial):
    nothing = CheckScore(
        labels={Level.NOMINAL: 2, Level.WEAK: 1},
        found={},
        true=0,
        tolerated=0,
        undecided=0,
        false=0,
        false_pages=0,
        delays_s=np.empty(0),
        delays_from_decidable_s=np.empty(0),
    )

    shown = table(replace(trial, scores={"battery_low": nothing})).splitlines()[1].split()

    # Labels, found and missed at the promised strengths; no precision, no recall at a strength that was not tried.
    assert shown[:4] == ["battery_low", "2", "0", "2"]
    assert shown[8:12] == ["-", "0.000", "0.000", "-"]
    assert lines("missed", ["a", "b"]) == "missed (2):\n  a\n  b"
    assert lines("missed", []) == ""


def test_a_history_too_short_for_faults_is_wrong_usage():
    done = subprocess.run(
        [sys.executable, "-m", "bench.score", "--meters", "5", "--days", "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "too short" in done.stderr
