"""Policy documents over HTTP: read, put under If-Match, refused with every error."""

from __future__ import annotations

from datetime import timedelta

import pytest

PATH = "/api/v1/policies"
LOW = "[company.north]\nlow_balance = { CNY = 300 }\n"


def test_before_the_first_version_a_document_is_empty(client):
    response = client.get(f"{PATH}/default")
    assert response.status_code == 200
    assert response.json() == {
        "version": 0,
        "policy": "",
        "author": None,
        "created_at": None,
        "valid_from": None,
        "name": "default",
        "ahead": [],
    }
    assert client.get(f"{PATH}/north").json()["name"] == "north"


def test_a_document_that_was_put_is_shown_with_who_and_when(client):
    put = client.put(f"{PATH}/north", json={"policy": LOW, "author": "supervisor"})
    assert put.status_code == 200, put.text
    shown = client.get(f"{PATH}/north")
    assert (shown.json(), shown.headers["etag"]) == (put.json(), put.headers["etag"])
    assert (shown.json()["policy"], shown.json()["author"]) == (LOW, "supervisor")
    assert shown.json()["valid_from"] == shown.json()["created_at"] == "2026-11-20T04:00:00Z"
    assert shown.json()["version"] > 0
    assert client.get(f"{PATH}/north", headers={"if-none-match": shown.headers["etag"]}).status_code == 304


def test_the_same_text_again_adds_no_version_and_another_one_does(client, city):
    first = client.put(f"{PATH}/north", json={"policy": LOW}).json()["version"]
    assert client.put(f"{PATH}/north", json={"policy": LOW}).json()["version"] == first
    assert client.put(f"{PATH}/north", json={"policy": ""}).json()["version"] > first
    with city.database.transaction() as transaction:
        assert len(transaction.rows("SELECT * FROM policy")) == 2


def test_if_match_lets_only_what_was_seen_be_changed(client):
    seen = client.get(f"{PATH}/default").headers["etag"]
    changed = client.put(f"{PATH}/default", json={"policy": "# one\n"}, headers={"if-match": seen})
    assert changed.status_code == 200
    late = client.put(f"{PATH}/default", json={"policy": "# two\n"}, headers={"if-match": seen})
    assert late.status_code == 412
    assert "read again" in late.json()["detail"]
    assert client.get(f"{PATH}/default").json()["policy"] == "# one\n"
    again = client.put(
        f"{PATH}/default", json={"policy": "# two\n"}, headers={"if-match": changed.headers["etag"]}
    )
    assert again.status_code == 200


def test_a_version_may_be_put_for_later_and_never_for_the_past(client, city):
    later = (city.now + timedelta(days=1)).isoformat()
    shown = client.put(f"{PATH}/north", json={"policy": LOW, "valid_from": later}).json()
    assert (shown["version"], shown["policy"]) == (0, "")
    assert [(one["policy"], one["valid_from"]) for one in shown["ahead"]] == [(LOW, "2026-11-21T04:00:00Z")]
    past = {"policy": LOW, "valid_from": (city.now - timedelta(seconds=1)).isoformat()}
    refused = client.put(f"{PATH}/north", json=past)
    assert refused.status_code == 422
    assert "leave it out for now" in refused.json()["detail"]


def test_every_error_of_a_document_is_told_and_nothing_is_written(client):
    text = "[default]\nidle_aftr_s = 3\noverload_ratio = 0.5\n[company.north]\nidle_after_s = 5\n"
    refused = client.put(f"{PATH}/default", json={"policy": text})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    found = {error["where"]: error["detail"] for error in refused.json()["errors"]}
    assert found == {
        "[default] idle_aftr_s": "is no limit of a policy; did you mean idle_after_s?",
        "[default] overload_ratio": "0.5 makes no sense; it has to be at least 1 and at most 1000000000",
        "[company.north]": "has a document of its own, named by the company's code; write it there",
    }
    assert client.get(f"{PATH}/default").json()["version"] == 0


def test_what_contradicts_another_document_is_refused(client):
    assert (
        client.put(f"{PATH}/default", json={"policy": "[default]\nimplausible_ratio = 3\n"}).status_code
        == 200
    )
    refused = client.put(f"{PATH}/north", json={"policy": "[company.north]\noverload_ratio = 4\n"})
    assert refused.status_code == 422
    assert "above implausible_ratio 3 of [default]" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"policy": 3}, {"policy": "a\0"}, {"policy": "", "author": ""}, {"policy": "", "x": 1}, {"policy": "", "valid_from": "2027-01-01"}],
)  # fmt: skip
def test_a_body_that_cannot_be_taken(client, body):
    assert client.put(f"{PATH}/default", json=body).status_code == 422


def test_a_company_that_there_is_not(client):
    for answer in (client.get(f"{PATH}/nobody"), client.put(f"{PATH}/nobody", json={"policy": ""})):
        assert answer.status_code == 404
        assert "no company nobody" in answer.json()["detail"]
