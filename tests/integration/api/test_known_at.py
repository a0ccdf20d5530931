"""What did we know at 02:00, and what do we know now about 02:00?"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from alerts.engine import Engine
from fleet.readings import ReadingBatch
from fleet.times import to_us
from ingest.dirty_work import leave_dirty_work
from storage.policies import append_policy
from storage.readings import write_readings

HOUR = timedelta(hours=1)


def _arrive(city, at, readings, column="flow_m3h"):
    """Readings (hour of the story, flow) arrive at an hour of the story and are evaluated."""
    arrived = city.now + at * HOUR
    times = [to_us(city.now + hour * HOUR) for hour, _ in readings]
    batch = ReadingBatch.build(
        meter_key=np.full(len(times), city.keys["M1"]),
        device_time_us=times,
        seq=times,
        received_us=np.full(len(times), to_us(arrived)),
        **{column: [value for _, value in readings]},
    )
    with city.database.transaction() as transaction:
        leave_dirty_work(transaction, write_readings(transaction, batch), arrived)
    Engine(city.database).run_once(arrived)


@pytest.fixture
def night(city):
    """The worked example of docs/time.md: over range from 1 to 3 o'clock, of which the hour from 2 came late."""
    city.now -= timedelta(days=1)
    city.meter("M1", interval_s=3600)
    _arrive(city, 0, [(0, 100.0)])
    _arrive(city, 1, [(1, 170.0)])
    _arrive(city, 1.5, [(1.5, 100.0)])
    _arrive(city, 3, [(3, 100.0)])
    _arrive(city, 6, [(2, 200.0)])
    return city


def _ask(client, night, **hours):
    """Ask with the parameters as hours of the story."""
    times = {name: (night.now + hour * HOUR).isoformat() for name, hour in hours.items()}
    response = client.get("/api/v1/alarms", params=times)
    assert response.status_code == 200, response.text
    return [
        (
            alarm["state"],
            alarm["severity"],
            _hour(night, alarm["onset_at"]),
            _hour(night, alarm["ended_at"]),
            alarm["value"],
        )
        for alarm in response.json()["items"]
        if alarm["check"] == "flow_over_range"
    ]


def _hour(night, text):
    from datetime import datetime  # noqa: PLC0415

    return None if text is None else (datetime.fromisoformat(text) - night.now) / HOUR


@pytest.mark.parametrize(
    ("sentence", "hours", "known"),
    [
        ("Before the first reading above Qmax nothing was known.", {"known_at": 0.9}, []),
        ("Then it was known to last.", {"known_at": 1.2}, [("active_unacked", "minor", 1, None, 170.0)]),
        ("Then it was known to be over.", {"known_at": 2}, [("cleared_unacked", "minor", 1, 1.5, 170.0)]),
        ("So it was until the late reading came.", {"known_at": 5.9}, [("cleared_unacked", "minor", 1, 1.5, 170.0)]),
        ("Since then more is known.", {"known_at": 6}, [("cleared_unacked", "major", 2, 3, 200.0)]),
        ("Of 01:00 we know now that it was so.", {"at": 1}, [("cleared_unacked", "major", 2, 3, 200.0)]),
        ("Of 01:45 we know that it was not.", {"at": 1.75}, []),
        ("Of 02:00 we know now that it was so.", {"at": 2}, [("cleared_unacked", "major", 2, 3, 200.0)]),
        ("What did we know at 02:00 of 02:00? That all was well.", {"known_at": 2, "at": 2}, []),
        ("An end is not part of it.", {"at": 3}, []),
        ("What we knew at 01:12 of 01:00.", {"known_at": 1.2, "at": 1}, [("active_unacked", "minor", 1, None, 170.0)]),
    ],
)  # fmt: skip
def test_what_was_known_and_what_was_so_are_two_questions(sentence, hours, known, client, night):
    assert _ask(client, night, **hours) == known, sentence


def test_one_alarm_as_it_stood_with_the_journal_as_it_was(client, night):
    [alarm] = [
        alarm for alarm in client.get("/api/v1/alarms").json()["items"] if alarm["check"] == "flow_over_range"
    ]
    path = f"/api/v1/alarms/{alarm['alarm_id']}"
    then = client.get(path, params={"known_at": (night.now + 2 * HOUR).isoformat()}).json()
    assert (then["severity"], [row["event"] for row in then["journal"]]) == ("minor", ["clear", "raise"])
    now = client.get(path).json()
    assert [(row["event"], row["correction"]) for row in now["journal"]][-2:] == [
        ("clear", False),
        ("raise", False),
    ]
    assert now["journal"][0]["correction"]
    assert client.get(path, params={"known_at": night.now.isoformat()}).status_code == 404


def test_whose_limit_it_was_then(client, city):
    city.now -= timedelta(days=1)
    city.meter("M1", prepaid=True, balance_unit="CNY")
    _arrive(city, 0, [(0, 150.0)], "balance")
    with city.database.transaction() as transaction:
        said, at = "[default]\nlow_balance = { CNY = 180 }\n", city.now + HOUR
        append_policy(transaction, "default", said, "test", at, at)
        company = "[company.north]\nlow_balance = { CNY = 160 }\n"
        append_policy(transaction, "north", company, "test", at, at + HOUR)
    _arrive(city, 3, [(3, 140.0)], "balance")
    times = {f"known_at {hour}": {"known_at": (city.now + hour * HOUR).isoformat()} for hour in (2, 3)}
    told = {
        when: [
            (alarm["limit"], alarm["limit_from"])
            for alarm in client.get("/api/v1/alarms", params=params).json()["items"]
            if alarm["check"] == "balance_low"
        ]
        for when, params in {**times, "now": {}}.items()
    }
    now = [(160.0, "company")]
    assert told == {"known_at 2": [(200.0, "default")], "known_at 3": now, "now": now}


def test_known_now_is_what_is_listed(client, night):
    known = client.get("/api/v1/alarms", params={"known_at": (night.now + 9 * HOUR).isoformat()})
    assert known.json()["items"] == client.get("/api/v1/alarms").json()["items"]


def test_filters_look_at_what_was_known_and_a_page_leads_to_the_next(client, night):
    then = {"known_at": (night.now + 2 * HOUR).isoformat(), "check": "flow_over_range"}
    assert client.get("/api/v1/alarms", params={**then, "severity": "major"}).json()["items"] == []
    assert len(client.get("/api/v1/alarms", params={**then, "meter_id": "M1"}).json()["items"]) == 1
    page = client.get("/api/v1/alarms", params={"known_at": (night.now + 9 * HOUR).isoformat(), "limit": 1})
    assert "known_at=" in (page.json()["next"] or "known_at=")


@pytest.mark.parametrize("name", ["known_at", "at"])
@pytest.mark.parametrize("text", ["2026-11-24T02:00:00", "yesterday", ""])
def test_a_moment_needs_its_zone(name, text, client):
    assert client.get("/api/v1/alarms", params={name: text}).status_code == 422
