"""Slow checks by the day: a finding is decided when the first reading of the next day comes."""

from zoneinfo import ZoneInfo

import numpy as np

from analytics.arrival_days import findings_by_day, local_day
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from fleet.readings import ReadingBatch

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR_US = 3_600_000_000
#: 2023-11-14 16:00 UTC: midnight in Shanghai, day 19676.
MIDNIGHT_US = 1_699_977_600_000_000
METER = Meter(
    meter_id="m",
    company="c",
    customer="x",
    customer_kind=CustomerKind.COMMERCIAL,
    reading_class=ReadingClass.DAILY,
    technology=Technology.DIAPHRAGM,
    qmax=10.0,
    interval_s=3600,
    register_step=0.01,
)


def found(hours: list[int]) -> list[tuple[str, float, float]]:
    """Readings at half past some hours, each a minute on its way; (check, start, decided), in hours."""
    time_us = MIDNIGHT_US + np.array(hours) * HOUR_US + HOUR_US // 2
    readings = ReadingBatch.build(
        meter_key=np.zeros(len(hours)),
        device_time_us=time_us,
        received_us=time_us + HOUR_US // 60,
        seq=np.arange(len(hours)),
        boot=np.ones(len(hours)),
        volume_m3=np.arange(len(hours)) * 1.0,
    )
    first = local_day(SHANGHAI, MIDNIGHT_US)
    findings = findings_by_day(readings, MeterTable.build([METER]), SHANGHAI, first, first + 3)
    e = findings.episodes
    return [
        (
            BY_NUMBER[int(e.check[at])].code,
            (e.started_us[at] - MIDNIGHT_US) / HOUR_US,
            round((findings.decided_us[at] - MIDNIGHT_US) / HOUR_US, 3),
        )
        for at in range(len(findings))
    ]


def test_the_local_day_begins_at_local_midnight():
    assert local_day(SHANGHAI, MIDNIGHT_US) == local_day(SHANGHAI, MIDNIGHT_US - 1) + 1
    assert local_day(SHANGHAI, MIDNIGHT_US) == 19_676


def test_a_bad_day_is_decided_when_the_next_one_begins_to_speak():
    # Of the third day every second reading is missing; the fourth begins to speak at 02:30.
    hours = [*range(48), *range(48, 72, 2), *range(74, 96)]

    assert found(hours) == [("low_reception", 48, round(74.5 + 1 / 60, 3))]


def test_a_bad_day_after_which_nothing_comes_is_decided_a_day_later():
    hours = [*range(48), *range(48, 72, 2)]

    assert found(hours) == [("low_reception", 48, 96)]


def test_good_days_are_no_findings():
    assert found([*range(96)]) == []
