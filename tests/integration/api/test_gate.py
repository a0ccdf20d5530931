"""The gate: token, cookie, host names, cross-site requests, headers."""

from __future__ import annotations

from datetime import timedelta

import pytest

TOKEN = "a long and secret token"
PATHS = (
    "/",
    "/meters",
    "/api/v1/alarms",
    "/metrics",
    "/readyz",
    "/openapi.json",
    "/static/console.css",
    "/nope",
)


@pytest.fixture
def guarded(connect):
    return connect(token=TOKEN, base="http://meters.example")


@pytest.mark.parametrize("path", PATHS)
def test_with_a_token_everything_but_healthz_needs_it(guarded, path):
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"authorization": "Bearer "},
    ):
        response = guarded.get(path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code != 401


def test_a_browser_signs_in_and_keeps_a_cookie_that_does_not_hold_the_token(guarded, connect, city):
    page = guarded.get("/meters?search=x", headers={"accept": "text/html"})
    assert page.status_code == 401
    assert 'name="back" value="/meters?search=x"' in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    wrong = guarded.post("/sign-in", data={"token": "guess", "back": "/meters"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    right = guarded.post("/sign-in", data={"token": TOKEN, "back": "/meters?search=x"})
    assert (right.status_code, right.headers["location"]) == (303, "/meters?search=x")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    held = {"cookie": cookie.partition(";")[0]}
    assert guarded.get("/meters", headers=held).status_code == 200
    assert guarded.get("/api/v1/meters", headers=held).status_code == 401
    city.now += timedelta(hours=13)
    assert guarded.get("/meters", headers=held).status_code == 401
    assert connect(token="another", base="http://x").get("/meters", headers=held).status_code == 401


def test_signing_out_forgets_the_cookie(guarded):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert 'meterwarden_session=""' in guarded.post("/sign-out", headers=bearer).headers["set-cookie"]


def test_an_empty_token_is_refused_at_the_start(connect):
    with pytest.raises(ValueError, match="empty token"):
        connect(token="")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "LOCALHOST:1"])
def test_without_a_token_this_machines_names_are_served(client, host):
    assert client.get("/api/v1/meters", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a@localhost@b"]
)
def test_without_a_token_other_names_are_not_served(client, host):
    assert client.get("/api/v1/meters", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
    ],
)
def test_another_sites_page_cannot_write(client, city, headers):
    alarm_id = city.alarm("M1")
    for path in (f"/alarms/{alarm_id}/acknowledge", f"/api/v1/alarms/{alarm_id}/acknowledge", "/sign-in"):
        assert client.post(path, headers=headers).status_code == 403
    assert client.get(f"/api/v1/alarms/{alarm_id}").json()["state"] == "active_unacked"


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1"}, {}])
def test_our_own_page_and_programs_can_write(client, city, headers):
    path = f"/api/v1/alarms/{city.alarm('M1')}/acknowledge"
    assert client.post(path, headers=headers).status_code == 200


def test_a_body_that_is_too_large_is_not_read(client):
    assert client.post("/alarms/1/acknowledge", content=b"x" * 70_000).status_code == 413

    async def endless():
        yield b"x"

    assert client.post("/alarms/1/acknowledge", content=endless()).status_code == 411


@pytest.mark.parametrize("path", ["/", "/healthz", "/nope", "/api/v1/meters", "/static/console.css"])
def test_every_answer_carries_the_security_headers(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../__init__.py",
        "/static/%2e%2e/routes.py",
        "/static/vendor",
        "/static/",
        "/static//etc/passwd",
    ],
)
def test_static_files_are_only_those_of_the_console(client, path):
    assert client.get(path).status_code == 404


def test_static_files_are_cached_by_their_digest(client):
    page = client.get("/").text
    address = page.partition('href="/static/console.css')[2].partition('"')[0]
    assert "immutable" in client.get(f"/static/console.css{address}").headers["cache-control"]
    assert client.get("/static/console.css?v=old").headers["cache-control"] == "private, no-cache"
