"""Every error is a problem, and says nothing of the inside."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from api.paging import encode_cursor
from storage.database import Database


def assert_problem(response, status: int) -> dict:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"] == HTTPStatus(status).phrase
    assert body["type"] == "about:blank"
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v1/nope", "/api/v1/meters/M9", "/api/v1/alarms/99", "/meters/M9"]
)
def test_what_is_not_there(client, path):
    assert assert_problem(client.get(path), 404)["instance"] == path


def test_readings_of_a_meter_that_is_not_there(client):
    assert_problem(client.get("/api/v1/readings?meter_id=M9"), 404)


def test_wrong_method(client):
    response = client.post("/api/v1/meters")
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET"


def cursor(*values: object) -> str:
    return encode_cursor(values)


def test_the_ends_of_the_calendar_and_of_counting_break_nothing(client, city):
    assert len(city.keys) == 1
    assert_problem(client.get("/api/v1/readings?meter_id=M1&to=0001-01-01T00:00:00Z"), 422)
    assert client.get(f"/?after={cursor(2**31, 0)}").status_code == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/readings", "meter_id"),
        ("/api/v1/readings?meter_id=M1&from=2026-11-20T00:00:00", "from"),
        ("/api/v1/readings?meter_id=M1&from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", "from"),
        ("/api/v1/readings?meter_id=../etc", "meter_id"),
        (f"/api/v1/readings?meter_id=M1&after={cursor('0001-01-01T00:00:00+14:00', 1)}", "after"),
        (f"/api/v1/readings?meter_id=M1&after={cursor('9999-12-31T23:59:59-14:00', 1)}", "after"),
        ("/api/v1/meters?limit=0", "limit"),
        ("/api/v1/meters?limit=1001", "limit"),
        ("/api/v1/meters?after=!!!", "after"),
        ("/api/v1/meters?after=WzFd", "after"),
        ("/api/v1/alarms?after=W10", "after"),
        ("/api/v1/alarms?severity=awful", "severity"),
        ("/api/v1/alarms?check=no_such_check", "check"),
        ("/api/v1/alarms/0", "alarm_id"),
        ("/api/v1/alarms/99999999999999999999", "alarm_id"),
        ("/api/v1/alarms?after=WzFlMzBd", "after"),
        ("/api/v1/tasks?state=lost", "state.0"),
        ("/api/v1/obligations?from=yesterday", "from"),
    ],
)
def test_values_that_cannot_be_taken_are_named(client, path, name):
    body = assert_problem(client.get(path), 422)
    assert [error["name"] for error in body["errors"]] == [name]


def test_a_nul_character_never_reaches_the_database(client):
    assert_problem(client.get("/api/v1/meters?search=%00"), 400)
    body = {"note": "a\x00b"}
    assert_problem(client.post("/api/v1/alarms/1/acknowledge", json=body), 422)


def test_half_a_surrogate_pair_never_reaches_the_database(client, city):
    city.alarm("M1")
    content = json.dumps({"note": "\ud800"})
    response = client.post(
        "/api/v1/alarms/1/acknowledge", content=content, headers={"content-type": "application/json"}
    )
    assert_problem(response, 422)


def test_a_database_that_is_away_is_503_and_its_address_stays_inside(connect):
    away = Database("postgresql://secret_user:secret_word@127.0.0.1:1/nothing", connect_timeout_s=1)
    client = connect(database=away)
    for path in ("/api/v1/meters", "/api/v1/alarms", "/api/v1/readings?meter_id=M1", "/metrics", "/readyz"):
        response = client.get(path)
        assert_problem(response, 503)
        assert "secret" not in response.text
    assert client.get("/healthz").status_code == 200
    page = client.get("/", headers={"accept": "text/html"})
    assert page.status_code == 503
    assert "database" in page.text
    assert page.headers["retry-after"] == "5"


def test_an_error_of_our_own_is_500_without_details_and_with_the_headers(connect, city):
    with city.database.transaction() as transaction:
        transaction.execute("ALTER TABLE task ALTER COLUMN due_on TYPE text")
    response = connect().get("/api/v1/tasks")
    body = assert_problem(response, 500)
    assert "due_on" not in body["detail"]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_browser_gets_a_page_with_the_same_status(client):
    page = client.get("/nope", headers={"accept": "text/html", "accept-language": "zh-CN"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "未找到" in page.text


def test_openapi_describes_units_and_problems(client):
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    assert "m³/h" in schemas["ReadingOut"]["properties"]["flow"]["description"]
    assert schemas["Problem"]["properties"]["status"]["type"] == "integer"
    listed = description["paths"]["/api/v1/meters"]["get"]["responses"]["422"]["content"]
    assert list(listed) == ["application/problem+json"]
    assert not any(path.startswith("/meters") for path in description["paths"])


def test_a_database_that_is_not_migrated_is_named_without_its_insides(connect, city):
    with city.database.transaction() as transaction:
        transaction.execute("ALTER TABLE task RENAME COLUMN due_on TO due_day")
    body = assert_problem(connect().get("/api/v1/tasks"), 503)
    assert body["detail"] == "The database is not migrated, run `meterwarden migrate`."
