"""The pure parts of the analytics bench: what is judged, and what is made of the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.kernels.block import CHECKS
from analytics.kernels.columns import five_checks
from bench.analytics.battery import battery_of
from bench.analytics.exceptions import BenchError
from bench.analytics.ours import limits_of
from bench.analytics.results import agreement, check_same, ratios, report, table
from bench.analytics.workload import PER_METER, Workload

RATES = {
    "copy": [100e6, 120e6, 110e6],
    "five_checks": [22e6, 20e6, 24e6],
    "battery": [1e6, 1e6, 1e6],
    "polars": [4e6, 4e6, 4e6],
    "pandas": [1e6, 1e6, 1e6],
}
MEMORY = {"five_checks": [0.29], "in_blocks": [0.04, 0.05], "battery": [0.1]}


@pytest.fixture(scope="module")
def workload() -> Workload:
    return Workload.make(20 * PER_METER + 1)


def test_the_workload_is_irregular_lacks_one_in_a_hundred_and_has_every_fault(workload):
    assert len(workload.meter) == 20 * PER_METER + 1
    assert len(workload.high) == 21
    assert 0.005 < np.isnan(workload.value).mean() < 0.02
    same_meter = np.diff(workload.meter) == 0
    step_us = np.diff(workload.time_us)[same_meter]
    assert step_us.min() > 0
    assert len(np.unique(step_us)) > PER_METER
    flags = five_checks(workload.meter, workload.time_us, workload.value, limits_of(workload), 21)
    found = {check: {3, 4} & set(np.unique(flags[at]).tolist()) for at, check in enumerate(CHECKS)}
    both = {3, 4}
    assert found == {
        "gross_range": both,
        "rate_of_change": both,
        "spike": both,
        "flat_line": {3},
        "time_gap": {3},
    }


def test_the_workload_is_the_same_for_a_seed(workload):
    again = Workload.make(20 * PER_METER + 1)
    assert np.array_equal(again.value, workload.value, equal_nan=True)
    assert not np.array_equal(Workload.make(PER_METER, seed=1).time_us, workload.time_us[:PER_METER])


def test_what_is_saved_is_what_is_loaded(workload, tmp_path):
    workload.save(tmp_path)
    loaded = Workload.load(tmp_path)
    assert np.array_equal(loaded.value, workload.value, equal_nan=True)
    assert loaded.gap_us.tolist() == workload.gap_us.tolist()


def test_the_registers_of_the_battery_never_fall(workload):
    readings, meters = battery_of(workload)
    rise = np.diff(readings.volume_m3)[np.diff(readings.meter_key) == 0]
    assert rise.min() >= 0
    assert rise.max() > 0
    assert meters.qmax_m3h.tolist() == workload.high.tolist()


def test_the_fastest_peer_is_what_counts():
    found = ratios({"copy": 100.0, "five_checks": 20.0, "polars": 4.0, "pandas": 1.0})
    assert found["five_checks / copy"] == 0.2
    assert found["five_checks / fastest peer"] == found["five_checks / polars"] == 5.0


def test_the_report_has_medians_and_the_larger_memory_of_those_that_work_in_blocks():
    found = report(10, RATES, MEMORY, {"10000": 50.0}, {})
    assert found["five_checks"] == 22_000_000
    assert found["extra_memory_ratio"] == 0.1
    assert found["extra_memory"]["five_checks"] == 0.29
    lines = table(found).splitlines()
    (battery,) = (line for line in lines if line.startswith("battery, M"))
    assert battery.endswith("NOT REACHED")
    (peer,) = (line for line in lines if "fastest peer" in line)
    assert peer.endswith(" reached")


def test_a_peer_that_does_less_is_found_out():
    ours = np.ones((5, 100), dtype=np.uint8)
    ours[3, :2] = 3
    theirs = ours.copy()
    theirs[3, 2] = 3
    check_same("polars", ours, theirs)
    assert agreement(ours, theirs)["flat_line"] == 0.99
    theirs[3, 0] = 1
    with pytest.raises(BenchError, match="flat_line"):
        check_same("polars", ours, theirs)
    theirs = ours.copy()
    theirs[1, 7] = 4
    with pytest.raises(BenchError, match="rate_of_change"):
        check_same("polars", ours, theirs)
    check_same("ioos_qc", ours, theirs)
