"""A back-test over HTTP: what a changed policy would have raised, beside what was raised."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from api import backtests

PATH = "/api/v1/backtests"
H = 3600.0


@pytest.fixture
def prepaid(city):
    """Two companies' prepaid meters, whose balances sink below 300, and at M1 below 200 CNY."""
    city.meter("M1", prepaid=True, balance_unit="CNY")
    city.meter("M2", company="south", prepaid=True, balance_unit="CNY")
    ages = [H * age for age in range(48, -1, -1)]
    # Snapshots that never change would be stuck.
    flow = [20.0 + age % 2 for age in range(49)]
    city.readings("M1", ages, balance=[400.0] * 10 + [250.0] * 10 + [150.0] * 29, flow_m3h=flow)
    city.readings("M2", ages, balance=[400.0] * 30 + [250.0] * 19, flow_m3h=flow)
    return city


def asking(city, policy: str = "", hours: float = 49, to_hours: float = 0, **fields) -> dict:
    times = {
        name: (city.now - timedelta(hours=age)).isoformat()
        for name, age in (("from", hours), ("to", to_hours))
    }
    return {"policy": policy, **times, **fields}


def run(client, body: dict, query: str = "") -> dict:
    response = client.post(PATH + query, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def rows(found: dict) -> list[tuple]:
    return [(f["meter_id"], f["check"], f["change"], f["limit_from"]) for f in found["findings"]["items"]]


def test_what_a_changed_policy_would_have_raised_beside_what_the_present_one_does(client, prepaid):
    found = run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n"))
    assert rows(found) == [
        ("M1", "balance_low", "kept", "default"),
        ("M2", "balance_low", "new", "default"),
    ]
    earlier = found["findings"]["items"][0]
    assert (earlier["started_at"], earlier["ended_at"], earlier["limit"], earlier["unit"]) == (
        "2026-11-18T14:00:00Z",
        None,
        300.0,
        "CNY",
    )
    assert found["checks"] == [
        {"check": "balance_low", "kept": 1, "new": 1, "gone": 0, "worse": 0, "milder": 0, "meters_changed": 1, "alarms": 0}
    ]  # fmt: skip
    assert (found["meters"], found["readings"]) == (2, 96)
    assert found["policy_before"] == {}
    assert found["policy_after"] == {"default": "[default]\nlow_balance = { CNY = 300 }\n"}
    assert found["run_in_from"] == "2026-08-22T03:00:00Z"


def test_a_companys_document_is_tried_on_its_meters_beside_the_present_ones(client, prepaid):
    present = "[company.south]\nlow_balance = { CNY = 260 }\n"
    assert client.put("/api/v1/policies/south", json={"policy": present}).status_code == 200
    found = run(client, asking(prepaid, "", company="south"))
    assert rows(found) == [("M2", "balance_low", "gone", "company")]
    assert (found["policy_before"], found["policy_after"]) == ({"south": present}, {"south": ""})
    # The others are judged with it, too.
    found = run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 100 }\n"))
    assert rows(found) == [("M1", "balance_low", "gone", "default"), ("M2", "balance_low", "kept", "company")]


def test_nothing_changes_under_the_policy_that_is(client, prepaid):
    found = run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 200 }\n"))
    assert rows(found) == [("M1", "balance_low", "kept", "default")]


def test_what_began_before_the_window_under_both_policies_is_not_told(client, prepaid):
    policy = "[default]\nlow_balance = { CNY = 300 }\n"
    assert rows(run(client, asking(prepaid, policy, hours=27))) == [("M2", "balance_low", "new", "default")]
    # Under the present policy M1's began 28 hours ago, under the changed one before.
    assert len(rows(run(client, asking(prepaid, policy, hours=28)))) == 2
    assert rows(run(client, asking(prepaid, policy, hours=17))) == []


def test_a_window_in_the_past_ends_where_it_ends(client, prepaid):
    found = run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n", to_hours=30))
    assert rows(found) == [("M1", "balance_low", "new", "default")]
    assert found["readings"] == 36


def test_the_run_in_makes_the_checks_know_the_meter(client, city):
    city.meter("M1", interval_s=3600)
    city.readings("M1", [20 * H, 2 * H, H, 0], volume_m3=[100.0, 101, 102, 103])
    policy = "[default]\nsilent_after_intervals = 12\n"
    # The silence begins 17 h ago, or 8 h ago under the changed policy; its first frame lies before the window.
    found = run(client, asking(city, policy, hours=18))
    assert rows(found) == [("M1", "meter_silent", "kept", "meter")]
    assert found["findings"]["items"][0]["started_at"] == "2026-11-19T20:00:00Z"


@pytest.mark.parametrize(("two_months_ago", "found"), [(1.0, True), (3.0, False)])
def test_the_run_in_is_as_long_as_a_slow_check_looks_back(client, city, two_months_ago, found):
    city.meter("M1", interval_s=3600)
    ages = range(24 * 72, -1, -1)
    # Three times the use in the last week: a shift, unless two months ago it was as much.
    level = [3.0 if age <= 24 * 7 else 1.0 if age <= 24 * 37 else two_months_ago for age in ages]
    register = np.round(
        1000.0 + np.cumsum([2.0 * use * (age % 24 < 12) for age, use in zip(ages, level, strict=True)]), 2
    )
    city.readings("M1", [H * age for age in ages], volume_m3=register.tolist())
    told = run(client, asking(city, hours=24 * 8))
    assert ("usage_shift" in {check for _, check, _, _ in rows(told)}) is found


def test_alarms_that_were_raised_stand_beside(client, prepaid):
    raised = prepaid.alarm(
        "M1",
        "balance_low",
        severity="minor",
        onset_at=prepaid.now - timedelta(hours=28),
        limit_origin="default",
    )
    prepaid.alarm("M1", "battery_low", onset_at=prepaid.now - timedelta(hours=90))
    found = run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n"))
    assert [f["alarm_id"] for f in found["findings"]["items"]] == [raised, None]
    assert [(one["check"], one["alarms"]) for one in found["checks"]] == [("balance_low", 1)]


def test_pages_show_every_finding_once(client, prepaid):
    body = asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n")
    whole = rows(run(client, body))
    first = run(client, body, "?limit=1")
    second = client.post(first["findings"]["next"], json=body).json()
    assert rows(first) + rows(second) == whole
    assert second["findings"]["next"] is None
    assert first["checks"] == second["checks"]


def test_only_the_meters_that_are_named_are_looked_at(client, prepaid):
    policy = "[default]\nlow_balance = { CNY = 300 }\n"
    found = run(client, asking(prepaid, policy, meters=["M2"]))
    assert ({row[0] for row in rows(found)}, found["meters"]) == ({"M2"}, 1)
    unknown = client.post(PATH, json=asking(prepaid, policy, meters=["M2", "M9"]))
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "The registry has no meter M9.")
    foreign = client.post(PATH, json=asking(prepaid, "", company="south", meters=["M1"]))
    assert (foreign.status_code, foreign.json()["detail"]) == (404, "south has no meter M1.")


def test_what_is_too_much_is_refused_with_what_to_do(client, prepaid, monkeypatch):
    monkeypatch.setattr(backtests, "MOST_READINGS", 90)
    refused = client.post(PATH, json=asking(prepaid))
    assert refused.status_code == 422
    assert refused.json()["detail"] == (
        "The window holds 96 readings with the 88 days before it; 90 may be; "
        "name a company or meters, or a shorter window."
    )
    assert client.post(PATH, json=asking(prepaid, meters=["M1"])).status_code == 200
    monkeypatch.setattr(backtests, "MOST_METERS", 1)
    assert "more than 1 meters" in client.post(PATH, json=asking(prepaid)).json()["detail"]


def test_blocks_of_meters_give_what_one_gives(client, prepaid, monkeypatch):
    body = asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n")
    whole = run(client, body)
    monkeypatch.setattr("alerts.replay._READINGS_PER_BLOCK", 1)
    assert run(client, body) == whole


def test_one_back_test_at_a_time(client, prepaid):
    lock = client.app.state.service.replaying
    with lock:
        refused = client.post(PATH, json=asking(prepaid))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert client.post(PATH, json=asking(prepaid)).status_code == 200
    assert client.post(PATH, json=asking(prepaid, "[default]\nx = 1\n")).status_code == 422
    assert not lock.locked()


def test_the_errors_of_a_document_are_told_as_where_it_is_put(client, prepaid):
    refused = client.post(PATH, json=asking(prepaid, "[default]\nx = 1\n[company.north]\n"))
    assert refused.status_code == 422
    assert {error["where"] for error in refused.json()["errors"]} == {"[default] x", "[company.north]"}
    assert client.post(PATH, json=asking(prepaid, company="nobody")).status_code == 404


@pytest.mark.parametrize(("hours", "to_hours"), [(0, 0), (1, 2), (1, -1), (24 * 366 * 50, 0)])
def test_a_window_that_makes_no_sense(client, city, hours, to_hours):
    assert client.post(PATH, json=asking(city, "", hours, to_hours)).status_code == 422


def test_nothing_is_written(client, prepaid):
    def everything() -> list:
        with prepaid.database.transaction() as transaction:
            return [
                transaction.rows(f"SELECT * FROM {name}")
                for name in ("alarm", "task", "meter_state", "policy")
            ]

    before = everything()
    run(client, asking(prepaid, "[default]\nlow_balance = { CNY = 300 }\n"))
    assert everything() == before == [[], [], [], []]
