"""Where hours, days and months of local time begin, by zones that do it in unusual ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.rollups.periods import Granularity, begin_us, end_us
from fleet.times import to_datetime, to_us

BERLIN, SHANGHAI, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kolkata")
LORD_HOWE, SAO_PAULO, APIA = (
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/Sao_Paulo"),
    ZoneInfo("Pacific/Apia"),
)


def _at(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def _begins(zone: ZoneInfo, granularity: Granularity, first: str, last: str, step_s: int = 600) -> list[str]:
    """List the local times at which the periods of a stretch begin."""
    times = np.arange(_at(first), _at(last), step_s * 1_000_000)
    found = np.unique(begin_us(times, zone, granularity)).tolist()
    return [to_datetime(time_us).astimezone(zone).isoformat() for time_us in found]


def _one(zone: ZoneInfo, granularity: Granularity, at: str) -> tuple[str, str]:
    times = np.array([_at(at)])
    both = (begin_us(times, zone, granularity)[0], end_us(times, zone, granularity)[0])
    begin, end = (to_datetime(int(time_us)).astimezone(zone).isoformat() for time_us in both)
    return begin, end


def test_a_plain_hour_day_and_month_of_china() -> None:
    at = "2023-11-14T16:30:00+00:00"
    assert _one(SHANGHAI, Granularity.HOUR, at) == ("2023-11-15T00:00:00+08:00", "2023-11-15T01:00:00+08:00")
    assert _one(SHANGHAI, Granularity.DAY, at) == ("2023-11-15T00:00:00+08:00", "2023-11-16T00:00:00+08:00")
    assert _one(SHANGHAI, Granularity.MONTH, at) == ("2023-11-01T00:00:00+08:00", "2023-12-01T00:00:00+08:00")


def test_a_border_belongs_to_the_period_that_it_begins() -> None:
    at = "2023-12-31T16:00:00+00:00"
    for granularity in Granularity:
        assert _one(SHANGHAI, granularity, at)[0] == "2024-01-01T00:00:00+08:00"


def test_hours_of_a_half_hour_zone_begin_at_its_own_full_hours() -> None:
    assert _one(KOLKATA, Granularity.HOUR, "2024-05-01T10:29:59+00:00") == (
        "2024-05-01T15:00:00+05:30",
        "2024-05-01T16:00:00+05:30",
    )


def test_an_hour_that_the_clock_shows_twice_is_two_and_the_day_has_25() -> None:
    hours = _begins(BERLIN, Granularity.HOUR, "2023-10-29T00:00:00+02:00", "2023-10-30T00:00:00+01:00")
    assert len(hours) == 25
    assert hours[1:5] == [
        "2023-10-29T01:00:00+02:00",
        "2023-10-29T02:00:00+02:00",
        "2023-10-29T02:00:00+01:00",
        "2023-10-29T03:00:00+01:00",
    ]
    days = _one(BERLIN, Granularity.DAY, "2023-10-29T12:00:00+01:00")
    assert _at(days[1]) - _at(days[0]) == 25 * 3600 * 1_000_000


def test_an_hour_that_the_clock_leaves_out_is_none_and_the_day_has_23() -> None:
    hours = _begins(BERLIN, Granularity.HOUR, "2023-03-26T00:00:00+01:00", "2023-03-27T00:00:00+02:00")
    assert len(hours) == 23
    assert hours[1:3] == ["2023-03-26T01:00:00+01:00", "2023-03-26T03:00:00+02:00"]
    assert _one(BERLIN, Granularity.HOUR, "2023-03-26T01:30:00+01:00")[1] == "2023-03-26T03:00:00+02:00"


def test_a_change_by_half_an_hour_makes_short_hours() -> None:
    back = _begins(LORD_HOWE, Granularity.HOUR, "2024-04-07T00:00:00+11:00", "2024-04-07T04:00:00+10:30")
    assert back == [
        "2024-04-07T00:00:00+11:00",
        "2024-04-07T01:00:00+11:00",
        "2024-04-07T01:30:00+10:30",
        "2024-04-07T02:00:00+10:30",
        "2024-04-07T03:00:00+10:30",
    ]
    assert _one(LORD_HOWE, Granularity.HOUR, "2024-04-07T01:40:00+10:30")[1] == "2024-04-07T02:00:00+10:30"


def test_a_day_whose_midnight_is_left_out_begins_at_one() -> None:
    assert _one(SAO_PAULO, Granularity.DAY, "2018-11-04T12:00:00-02:00") == (
        "2018-11-04T01:00:00-02:00",
        "2018-11-05T00:00:00-02:00",
    )
    assert _one(SAO_PAULO, Granularity.HOUR, "2018-11-04T01:20:00-02:00")[0] == "2018-11-04T01:00:00-02:00"


def test_a_date_that_was_left_out_has_no_period() -> None:
    days = _begins(APIA, Granularity.DAY, "2011-12-29T00:00:00-10:00", "2012-01-01T00:00:00+14:00")
    assert days == ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"]


@pytest.mark.parametrize("zone", [BERLIN, SHANGHAI, KOLKATA, LORD_HOWE, SAO_PAULO, APIA])
@pytest.mark.parametrize("granularity", list(Granularity))
def test_periods_cover_all_time_without_overlap(zone: ZoneInfo, granularity: Granularity) -> None:
    """The end of each period is the begin of the next, over fifteen years that hold every oddity."""
    start = datetime(2010, 1, 1, tzinfo=UTC)
    times = np.arange(to_us(start), to_us(start + timedelta(days=5500)), 1_237_000_000)
    begins, ends = begin_us(times, zone, granularity), end_us(times, zone, granularity)
    assert np.all((begins <= times) & (times < ends))
    distinct = np.unique(begins)
    following = end_us(distinct, zone, granularity)
    assert np.array_equal(following[:-1], distinct[1:])


def test_no_instants_no_periods() -> None:
    nothing = np.empty(0, dtype=np.int64)
    for granularity in Granularity:
        assert len(begin_us(nothing, BERLIN, granularity)) == len(end_us(nothing, BERLIN, granularity)) == 0
