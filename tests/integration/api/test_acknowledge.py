"""Acknowledging: by the API under If-Match, and by the console's plain form."""

from __future__ import annotations

import pytest


@pytest.fixture
def alarm_id(city) -> int:
    return city.alarm("M1")


def test_acknowledging_leaves_who_when_and_a_journal_row(client, alarm_id):
    response = client.post(
        f"/api/v1/alarms/{alarm_id}/acknowledge", json={"actor": "duty desk", "note": "on my way"}
    )
    assert response.status_code == 200
    alarm = response.json()
    assert (alarm["state"], alarm["acknowledged_by"]) == ("active_acked", "duty desk")
    assert alarm["acknowledged_at"] == "2026-11-20T04:00:00Z"
    assert [e["event"] for e in alarm["journal"]] == ["acknowledge", "raise"]
    assert (alarm["journal"][0]["actor"], alarm["journal"][0]["note"]) == ("duty desk", "on my way")
    assert client.get(f"/api/v1/alarms/{alarm_id}").json() == alarm


def test_a_cleared_alarm_closes_when_acknowledged(client, city):
    alarm_id = city.alarm("M1", state="cleared_unacked", ended_at=city.now)
    assert client.post(f"/api/v1/alarms/{alarm_id}/acknowledge").json()["state"] == "closed"


def test_it_needs_no_body(client, alarm_id):
    alarm = client.post(f"/api/v1/alarms/{alarm_id}/acknowledge").json()
    assert alarm["acknowledged_by"] == "api"


def test_what_is_not_possible_is_a_conflict_with_the_reason(client, city, alarm_id):
    closed = city.alarm("M1", "battery_low", state="closed")
    assert client.post(f"/api/v1/alarms/{alarm_id}/acknowledge").status_code == 200
    again = client.post(f"/api/v1/alarms/{alarm_id}/acknowledge")
    assert again.status_code == 409
    assert again.json()["state"] == "active_acked"
    assert "acknowledged it before" in again.json()["detail"]
    assert "closed" in client.post(f"/api/v1/alarms/{closed}/acknowledge").json()["detail"]
    assert client.post("/api/v1/alarms/77/acknowledge").status_code == 404


@pytest.mark.parametrize(
    "body", [{"actor": ""}, {"actor": "x" * 101}, {"actor": "a\nb"}, {"note": 3}, {"state": "closed"}, ["x"]]
)
def test_a_body_that_cannot_be_taken(client, alarm_id, body):
    assert client.post(f"/api/v1/alarms/{alarm_id}/acknowledge", json=body).status_code == 422
    assert client.get(f"/api/v1/alarms/{alarm_id}").json()["state"] == "active_unacked"


def test_if_match_lets_only_what_was_seen_be_acknowledged(client, city, alarm_id):
    path = f"/api/v1/alarms/{alarm_id}"
    seen = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": seen}).status_code == 304
    with city.database.transaction() as transaction:
        transaction.execute("UPDATE alarm SET value = 190 WHERE alarm_id = %(id)s", {"id": alarm_id})
    stale = client.post(f"{path}/acknowledge", headers={"if-match": seen})
    assert stale.status_code == 412
    now = client.get(path)
    assert now.json()["state"] == "active_unacked"
    assert client.get(path, headers={"if-none-match": seen}).status_code == 200
    done = client.post(f"{path}/acknowledge", headers={"if-match": f'"other", {now.headers["etag"]}'})
    assert done.status_code == 200
    assert done.headers["etag"] == client.get(path).headers["etag"] != now.headers["etag"]


def test_the_consoles_form_goes_back_to_where_it_was(client, alarm_id):
    response = client.post(f"/alarms/{alarm_id}/acknowledge", data={"back": "/?severity=major"})
    assert (response.status_code, response.headers["location"]) == (303, "/?severity=major")
    assert client.get(f"/api/v1/alarms/{alarm_id}").json()["acknowledged_by"] == "console"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "x", "/a\nb"])
def test_the_consoles_form_never_leads_to_another_site(client, alarm_id, back):
    response = client.post(f"/alarms/{alarm_id}/acknowledge", data={"back": back})
    assert response.headers["location"] == "/"


def test_htmx_is_told_to_fetch_the_list_anew(client, alarm_id):
    response = client.post(f"/alarms/{alarm_id}/acknowledge", headers={"hx-request": "true"})
    assert (response.status_code, response.headers["hx-trigger"]) == (204, "alarms-changed")
