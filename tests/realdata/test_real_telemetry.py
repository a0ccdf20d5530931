"""Measured telemetry through the shipped maps: what a gas engineer would accept as found."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from analytics.usage.evaluate import SLOW_CHECKS
from runtime.commands.check import check

pytestmark = pytest.mark.realdata

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def find(real_data: Path, tmp_path: Path):
    """Run `meterwarden check` on a real file; gives its findings."""

    def run(folder: str, name: str) -> list[dict[str, str]]:
        out = tmp_path / "findings.csv"
        source = real_data / folder / f"{name}.csv"
        assert check(source, EXAMPLES / "meters.csv", EXAMPLES / f"{name}.toml", None, out, None) == 0
        with out.open(encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    return run


def _by_check(findings: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    grouped = defaultdict(list)
    for finding in findings:
        grouped[finding["check"]].append(finding)
    return dict(grouped)


def test_the_all_zero_frames_of_a_corrector_are_dropouts_and_no_reversal(find) -> None:
    found = _by_check(find("city_gas_meters", "7048_hourly"))
    assert set(found) == {"dropout_frame"}
    assert sum(int(finding["readings"]) for finding in found["dropout_frame"]) == 8
    assert {finding["meter_id"] for finding in found["dropout_frame"]} == {"7048"}


def test_the_bursts_of_june_are_over_range_and_one_hot_sample_is_a_glitch(find) -> None:
    found = _by_check(find("city_gas_meters", "004180800230671_hourly"))
    june = [f for f in found["flow_over_range"] if "2019-06-05T16" <= f["started_at"] <= "2019-06-08T16"]
    assert len(june) == 4
    assert all(float(finding["value"]) > 470 for finding in june)
    assert all(float(finding["limit"]) == 160 for finding in june)
    (glitch,) = found["sensor_glitch"]
    assert (glitch["started_at"], float(glitch["value"])) == ("2019-05-02T18:00:00Z", 59.4375)
    others = [f for fs in found.values() for f in fs if f["started_at"] == glitch["started_at"]]
    assert others == [glitch]
    assert set(found) <= {
        "flow_over_range",
        "flow_over_range_sustained",
        "flow_spike",
        "clock_skew",
        "sensor_glitch",
        "idle_or_stuck",
        "meter_silent",
        "low_reception",
    }
    # Two frames were read an hour before the time that they carry.
    assert [f["readings"] for f in found["clock_skew"]] == ["2"]
    # The last days before it fell silent: 13 and 14 of 24 hours.
    assert [round(float(finding["value"]), 2) for finding in found["low_reception"]] == [0.54]


def test_a_register_that_never_moved_is_idle_or_stuck_and_nothing_more_certain(find) -> None:
    found = _by_check(find("city_gas_meters", "00418110260064_idle"))
    assert set(found) == {"idle_or_stuck", "sensor_glitch", "meter_silent"}
    (idle,) = found["idle_or_stuck"]
    assert idle["ended_at"] == ""
    assert float(idle["value"]) > 170
    assert len(found["sensor_glitch"]) == 3


def test_a_slow_reporter_with_only_its_standard_register_is_healthy(find) -> None:
    # Its use ran out over a week, before it stood still for two: as little a shift as a boiler's in spring.
    assert find("city_gas_meters", "1811039610250374_daily") == []


@pytest.mark.parametrize("customer", ["customer_1", "customer_2", "customer_3", "customer_9"])
def test_idle_hours_are_no_gap_and_no_silence(find, customer: str) -> None:
    found = Counter(finding["check"] for finding in find("hourly_customers", customer))
    assert found["data_gap"] == found["meter_silent"] == 0
    usual = {"idle_or_stuck", "flow_over_range_sustained"}
    # The one that is idle most of the time worked two weeks of nights, and ran low in two months.
    seldom = {"night_flow", "meter_oversized"} if customer == "customer_9" else set()
    assert not set(found) - usual - seldom


@pytest.mark.parametrize("customer", ["customer_1", "customer_2", "customer_3", "customer_9"])
def test_no_slow_check_pages_anybody_for_a_healthy_year(find, customer: str) -> None:
    found = find("hourly_customers", customer)
    paging = [f for f in found if f["check"] in SLOW_CHECKS and f["severity"] in ("major", "critical")]
    assert paging == []
