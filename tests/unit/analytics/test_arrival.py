"""A history fed as it arrived: what was known when, and what late news changed."""

from dataclasses import replace

import numpy as np

from analytics.arrival import findings_by_arrival
from analytics.episodes import ONGOING_US
from analytics.history import evaluate_history, newest
from analytics.truth import Findings
from fleet.checks import BY_NUMBER
from fleet.meter_table import MeterTable
from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from fleet.readings import ReadingBatch

#: 2023-11-14 22:00 UTC.
START_US = 1_699_999_200_000_000
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US

METER = Meter(
    meter_id="m",
    company="c",
    customer="x",
    customer_kind=CustomerKind.COMMERCIAL,
    reading_class=ReadingClass.DAILY,
    technology=Technology.DIAPHRAGM,
    qmax=10.0,
    qmin=1.0,
    interval_s=600,
    register_step=0.01,
)
TABLE = MeterTable.build([METER])


def batch(flow: list[float], late_s: dict[int, float] | None = None) -> ReadingBatch:
    """One reading every ten minutes, here after a second but for those that are late."""
    n = len(flow)
    time_us = START_US + np.arange(n) * 10 * MINUTE_US
    delay_s = np.ones(n)
    for at, seconds in (late_s or {}).items():
        delay_s[at] = seconds
    return ReadingBatch.build(
        meter_key=np.zeros(n),
        device_time_us=time_us,
        received_us=time_us + (delay_s * 1e6).astype(np.int64),
        seq=np.arange(n) + 1,
        boot=np.ones(n),
        flow_m3h=flow,
    )


def fed(readings: ReadingBatch, hours: float) -> Findings:
    return findings_by_arrival(readings, TABLE, START_US, START_US + round(hours * HOUR_US))


def told(found: Findings) -> list[tuple[str, float, float | None, float]]:
    """Check, start, end, decided; minutes, None where it goes on."""
    e = found.episodes
    return [
        (
            BY_NUMBER[int(e.check[at])].code,
            (e.started_us[at] - START_US) / MINUTE_US,
            None if e.ended_us[at] == ONGOING_US else (e.ended_us[at] - START_US) / MINUTE_US,
            (found.decided_us[at] - START_US) / MINUTE_US,
        )
        for at in range(len(found))
    ]


SECOND = 1 / 60


def test_a_finding_is_decided_when_the_reading_that_tipped_it_arrived():
    # Above Qmax in readings 2 and 3, in the middle of the hour; good again with reading 4.
    flow = [5, 5, 11, 11, 5, 5, 5, 5]

    assert told(fed(batch(flow), 1.3)) == [("flow_over_range", 20, 40, 20 + SECOND)]


def test_what_needs_time_is_decided_later_than_it_began():
    # Below Qmin from reading 1 on; two hours later, with reading 13, that is a finding.
    flow = [5, *[0.5] * 14]

    assert told(fed(batch(flow), 2.5)) == [("flow_under_range", 10, None, 130 + SECOND)]


def test_a_silence_is_raised_by_the_clock_at_its_limit_and_ends_when_a_frame_comes():
    readings = batch([5.0] * 14)
    heard = readings.take(np.array([0, 1, 12, 13]))

    # Three intervals after the reading at 10 minutes.
    assert told(fed(heard, 2.5)) == [("meter_silent", 40, 120, 40)]


def test_what_comes_late_is_raised_when_it_came_and_a_silence_it_fills_was_raised_nevertheless():
    # Readings 2 to 8 wait until minute 95; reading 5 is above Qmax.
    late_s = {at: (95 - 10 * at) * 60.0 for at in range(2, 9)}
    readings = batch([5, 5, 5, 5, 5, 11, 5, 5, 5, 5, 5, 5], late_s)

    assert sorted(told(fed(readings, 2))) == [
        ("flow_over_range", 50, 60, 95),
        # Over, as far as anybody knew, with reading 9; then it turned out that it never was.
        ("meter_silent", 40, 90, 40),
    ]


def test_a_late_reading_can_move_the_onset_of_what_is_known_already():
    # Reading 2, above Qmax as reading 3 is, overtaken by it and by more than the hour.
    readings = batch([5, 5, 11, 11, *[5] * 8], {2: 60 * 60.0})

    assert told(fed(readings, 2)) == [("flow_over_range", 20, 40, 30 + SECOND)]


def test_in_order_readings_give_the_findings_of_one_pass():
    rng = np.random.default_rng(7)
    flow = rng.choice([0.0, 0.5, 0.5, 0.5, 5.0, 11.0, 13.0], size=300).tolist()
    readings = batch(flow)

    found = fed(readings, 50).episodes
    whole = newest([evaluate_history(readings, TABLE).episodes])

    order = np.lexsort((found.started_us, found.check))
    other = np.lexsort((whole.started_us, whole.check))
    for name in ("check", "started_us", "ended_us", "flag", "readings"):
        assert np.array_equal(getattr(found, name)[order], getattr(whole, name)[other]), name
    assert len(found) > 20


def test_nothing_outside_of_the_time_is_looked_at():
    readings = batch([11.0] * 12)

    assert told(fed(readings, 0.5)) == [("flow_over_range", 0, None, SECOND)]
    before = replace(readings, received_us=readings.received_us - HOUR_US * 24)
    assert told(fed(before, 2)) == []
