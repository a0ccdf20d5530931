"""Volumes of hours, days and months over HTTP, from the tables that the upkeep keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerts.rollups.upkeep import Upkeep
from alerts.rollups.work import leave_rollup_work
from fleet.readings import ReadingBatch
from fleet.times import to_us
from storage.policies import append_policy
from storage.readings import write_readings


@pytest.fixture
def rolled(city):
    """Store readings of M1, by local time of China, and roll them up."""

    def roll(times: list[str], **columns) -> None:
        at = [to_us(datetime.fromisoformat(f"{time}+08:00")) for time in times]
        key = np.full(len(at), city.keys["M1"])
        batch = ReadingBatch.build(
            len(at), meter_key=key, device_time_us=at, seq=np.arange(len(at)), received_us=at, **columns
        )
        with city.database.transaction() as transaction:
            write_readings(transaction, batch)
            since_us = np.array([min(at)])
            leave_rollup_work(transaction, batch, key[:1], since_us, datetime.now(UTC))
        while Upkeep(city.database).run_once().claimed:
            pass

    return roll


def _get(client, query: str = "") -> list[dict]:
    items, path = [], f"/api/v1/meters/M1/rollups?{query}"
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.text
        items += response.json()["items"]
        path = response.json()["next"]
    return items


TIMES = ["2026-11-19T22:10", "2026-11-19T22:40", "2026-11-19T23:05", "2026-11-20T01:10", "2026-11-20T02:10"]


def test_an_hour_tells_its_volume_with_both_times_and_what_stands_beside_it(client, rolled):
    rolled(
        TIMES,
        volume_m3=[100.1, 110, 112.44, 0, 124.78],
        flow_m3h=[8, 12, np.nan, 0, 3],
        pressure_kpa=[105, 105, 105, 0, 105],
    )
    first, second, third, fourth = _get(client)
    assert first == {
        "period_start": "2026-11-19T14:00:00Z",
        "period_end": "2026-11-19T15:00:00Z",
        "begin_at": "2026-11-19T14:10:00Z",
        "begin_register": 100.1,
        "end_at": "2026-11-19T15:05:00Z",
        "end_register": 112.44,
        "volume": 12.34,
        "standard": False,
        "mean_flow": pytest.approx(12.34 / 55 * 60),
        "peak_flow": 12,
        "minimum_flow": 8,
        "readings": 2,
        "dropouts": 0,
        "reception": 2,
    }
    assert (second["volume"], second["end_at"], second["peak_flow"]) == (12.34, "2026-11-19T18:10:00Z", None)
    assert (third["readings"], third["dropouts"], third["begin_at"], third["volume"]) == (1, 1, None, None)
    assert (fourth["begin_register"], fourth["end_at"], fourth["volume"]) == (124.78, None, None)


def test_a_month_and_a_day_that_use_more_than_a_tenth_of_the_register_count_its_roll_over(
    client, city, rolled
):
    with city.database.transaction() as transaction:
        transaction.execute("UPDATE meter SET register_digits = 5, qmax = 100 WHERE meter_id = 'M1'")
    days = ["2026-09-01", "2026-09-15", "2026-09-16", "2026-09-20", "2026-10-01", "2026-11-02"]
    rolled([f"{day}T08:00" for day in days], volume_m3=[80_000, 95_000, 96_000, 500, 12_000, 43_000])
    query = "from=2026-08-31T16:00:00Z&to=2026-11-30T16:00:00Z&granularity="
    assert [month["volume"] for month in _get(client, query + "month")] == [32_000, 31_000, None]
    assert [day["volume"] for day in _get(client, query + "day&limit=2")][2:4] == [4_500, 11_500]


def test_days_and_months_are_those_of_the_companys_calendar(client, rolled):
    rolled(
        ["2026-10-31T23:50", "2026-11-01T00:10", "2026-11-19T12:00", "2026-11-20T00:00"],
        volume_m3=[10, 11.5, 20, 30.25],
    )
    days = _get(client, "granularity=day&from=2026-10-01T00:00:00Z")
    assert [(d["period_start"], d["volume"]) for d in days] == [
        ("2026-10-30T16:00:00Z", 1.5),
        ("2026-10-31T16:00:00Z", 8.5),
        ("2026-11-18T16:00:00Z", 10.25),
        ("2026-11-19T16:00:00Z", None),
    ]
    months = _get(client, "granularity=month")
    assert [(m["period_start"], m["period_end"], m["volume"]) for m in months] == [
        ("2026-09-30T16:00:00Z", "2026-10-31T16:00:00Z", 1.5),
        ("2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z", None),
    ]
    # What follows ends a period, though it is not asked for.
    (october,) = _get(client, "granularity=month&from=2026-09-01T00:00:00Z&to=2026-10-31T16:00:00Z")
    assert october["volume"] == 1.5


@pytest.mark.parametrize("granularity", ["hour", "day", "month"])
def test_pages_of_any_size_tell_the_same(client, rolled, granularity):
    start = datetime(2026, 8, 25)
    times = [(start + timedelta(hours=7 * i)).isoformat() for i in range(200)]
    standard = [2.0 * i + 10 for i in range(200)]
    working = [np.nan if i % 3 == 0 else 0.1 * i for i in range(200)]
    rolled(times, volume_m3=working, std_volume_m3=standard)
    query = f"granularity={granularity}&from=2026-07-31T16:00:00Z&limit="
    whole = _get(client, f"{query}1000")
    assert len(whole) == {"hour": 200, "day": 59, "month": 3}[granularity]
    assert not any(item["standard"] for item in whole)
    for limit in (1, 2) if granularity == "month" else (7, 50):
        assert _get(client, f"{query}{limit}") == whole


def test_a_meter_with_only_its_standard_register_has_volumes_of_that(client, rolled):
    rolled(TIMES[:3], volume_m3=[0, 0, 0], std_volume_m3=[500, 501, 503])
    assert [(item["standard"], item["volume"]) for item in _get(client)] == [(True, 3), (True, None)]


def test_the_companys_limits_tell_a_roll_over_from_a_fall(client, city, rolled):
    city.meter("M1", register_digits=4)
    rolled(["2026-11-19T22:50", "2026-11-19T23:05"], volume_m3=[9990, 900])
    assert _get(client)[0]["volume"] == -9090
    with city.database.transaction() as transaction:
        append_policy(
            transaction, "north", "[company.north]\nimplausible_ratio = 30\n", "test", city.now, city.now
        )
    assert _get(client)[0]["volume"] == 910


def test_what_was_never_heard_has_no_rows(client):
    for granularity in ("hour", "day", "month"):
        assert _get(client, f"granularity={granularity}") == []


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("M9/rollups", 404, "M9"),
        ("M1/rollups?granularity=year", 422, "granularity"),
        ("M1/rollups?from=2026-11-20T00:00:00Z&to=2026-11-20T00:00:00Z", 422, "from"),
        ("M1/rollups?after=bm9uc2Vuc2U", 422, "after"),
        ("M1/rollups?from=9999-12-31T23:59:59Z&to=9999-12-31T23:59:59.5Z", 200, "items"),
        ("M1/rollups?from=0001-01-01T00:00:00Z&to=0001-01-02T00:00:00Z&granularity=month", 200, "items"),
        ("M1/rollups?granularity=month&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", 200, "items"),
    ],
)
def test_what_cannot_be_told_is_a_problem(client, path, status, word):
    response = client.get(f"/api/v1/meters/{path}")
    assert response.status_code == status
    assert word in response.text
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
