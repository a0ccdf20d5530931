"""A clock that is ahead, and what the meter itself says."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.data.status import Union
from analytics.pipeline import evaluate, initial_state
from fleet.meter_table import MeterTable
from fleet.policies import Policies
from fleet.policy import Policy
from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import status_bits
from runtime.findings import findings_of

HOUR_US = 3_600_000_000
NAN = float("nan")


@pytest.fixture
def arrive(meter):
    """Run all checks on hourly readings that are so many seconds ahead of their arrival; NaN: not known."""

    def run(*ahead_s: float, policy: Policy | None = None, **columns):
        time_us = np.arange(1, len(ahead_s) + 1) * HOUR_US
        received = [
            ABSENT if np.isnan(s) else int(t - s * 1e6) for t, s in zip(time_us, ahead_s, strict=True)
        ]
        batch = ReadingBatch.build(
            len(ahead_s),
            meter_key=np.zeros(len(ahead_s)),
            device_time_us=time_us,
            seq=np.arange(len(ahead_s)),
            received_us=received,
            **columns,
        )
        policies = Policies(policy or Policy())
        return evaluate(batch, MeterTable.build([meter()], policies=policies), initial_state(1))

    return run


def _flags(result, code: str) -> str:
    return "".join({1: "g", 2: "u", 3: "S", 4: "F", 9: "-"}[flag] for flag in result.flags[code].tolist())


def test_clock_by_hand(arrive):
    # Ahead by 61 s is a finding; what came after three hours or more says nothing, nor an unknown arrival.
    result = arrive(-2, 60, 61, 500, NAN, -10_801, -40_000, 90, -10_800, -2)
    assert _flags(result, "clock_skew") == "ggSS-uuSgg"
    found = result.episodes
    assert (found.started_us // HOUR_US).tolist() == [3]
    assert (found.ended_us // HOUR_US).tolist() == [9]
    assert (found.readings.tolist(), found.value.tolist(), found.limit.tolist()) == ([3], [500], [60])


def test_clocks_may_be_allowed_more(arrive):
    assert _flags(arrive(90, 121, policy=Policy(clock_ahead_s=120)), "clock_skew") == "gS"


def test_a_dropout_frame_tells_no_time(arrive):
    result = arrive(90, 90, volume_m3=[0, 5], pressure_kpa=[0, 101], temperature_c=[0, 20])
    assert _flags(result, "clock_skew") == "uS"


def test_no_readings_have_no_clock_and_no_status(arrive):
    assert _flags(arrive(), "clock_skew") == _flags(arrive(), "status_reported") == ""


BITS = {code: status_bits([code]) for code in ("tamper_magnetic", "case_open", "low_oil", "battery_low")}


def test_status_by_hand(judge):
    low, tamper, case_ = BITS["battery_low"], BITS["tamper_magnetic"], BITS["case_open"]
    case = judge(status_bits=[0, low, low, ABSENT, low | tamper, low, 0, case_, 0, status_bits(["?"])])
    assert case.flags("status_reported") == "gSS-FSgFgS"
    assert case.episodes("status_reported") == [
        (60, 360, 4, low | tamper),
        (420, 480, 1, case_),
        (540, None, 1, status_bits(["unrecognised"])),
    ]
    assert (
        findings_of(case.result.episodes, ["m1"])[0].detail
        == "The meter reports: tamper magnetic, battery low."
    )
    assert [f.severity for f in findings_of(case.result.episodes, ["m1"])] == ["major", "major", "minor"]


def test_a_status_in_a_dropout_frame_is_not_believed(judge):
    case = judge(status_bits=[1, 1], volume_m3=[0, 5], pressure_kpa=[0, 101], temperature_c=[0, 20])
    assert case.flags("status_reported") == "uF"


def test_each_of_two_readings_at_one_time_speaks(judge):
    assert judge(minutes=[0, 0], status_bits=[4, 0]).flags("status_reported") == "Fg"


def test_sets_of_bits_are_joined():
    assert Union()(np.array([1.0, NAN]), np.array([2.0, 4.0])).tolist() == [3, 4]
    assert Union().reduceat(np.array([1.0, NAN, 2.0, 4.0]), np.array([0, 3])).tolist() == [3, 4]
