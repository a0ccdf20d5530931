"""The cookie that stands for the token, and addresses that stay in the house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.access import session_is_valid, session_value, token_matches
from api.console.sessions import local_path
from api.guard import host_name

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
VALUE = session_value("token", NOW + timedelta(hours=1))


def test_a_cookie_is_valid_until_it_expires():
    assert session_is_valid("token", VALUE, NOW)
    assert session_is_valid("token", VALUE, NOW + timedelta(seconds=3599))
    assert not session_is_valid("token", VALUE, NOW + timedelta(hours=1))
    assert not session_is_valid("other", VALUE, NOW)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "x",
        "9999999999.",
        f"9{VALUE}",
        VALUE[:-1],
        f"{VALUE}0",
        "-1.x",
        "\u0661.x",
        "9" * 400 + ".x",
        "1.\u00e9",
    ],
)
def test_a_cookie_that_was_never_made_is_not_valid(value):
    assert not session_is_valid("token", value, NOW)


def test_tokens_of_any_characters_are_compared():
    assert token_matches("s\u00e9same", "s\u00e9same")
    assert not token_matches("token", "token ")
    assert not token_matches("token", "")


@pytest.mark.parametrize("address", ["/", "/meters?search=a%20b", "/alarms/1"])
def test_local_paths_are_kept(address):
    assert local_path(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "meters", "//x", "/\\x", "https://x/", "javascript:alert(1)", "/a\r\nb", "/\tx", "/sign-in"],
)
def test_other_addresses_lead_to_the_start(address):
    assert local_path(address) == "/"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("a.b:80", "a.b"),
        ("[::1]:80", "::1"),
        ("[::1", ""),
        ("", ""),
        ("A", "a"),
        ("u@h", "h"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_host_names_lose_port_and_brackets(header, name):
    assert host_name(header) == name
