"""Values as text of a language."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from babel import Locale

from api.console.catalogue import LOCALES, translations
from api.console.formats import NOTHING, Formats
from api.console.language import accepted_language

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
ENGLISH, CHINESE = (Formats(Locale.parse(LOCALES[name]), translations(name)) for name in ("en", "zh"))


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (12345.6789, "m3/h", "12,345.679 m³/h", "12,345.679 m³/h"),
        (0, "Cel", "0 °C", "0 °C"),
        (1.042, "1", "104.2%", "104.2%"),
        (10800, "s", "3 hours", "3小时"),
        (34.24, "d", "34.2 d", "34.2 天"),
        (180.5, "CNY", "180.5 CNY", "180.5 元"),
        (0.26, "d", "0.3 d", "0.3 天"),
        (1e308, "m3/h", "1e+308 m³/h", "1e+308 m³/h"),
        (-1e15, "m3", "-1e+15 m³", "-1e+15 m³"),
        (5.0, None, "5", "5"),
        (None, "V", NOTHING, NOTHING),
        (float("inf"), "s", ENGLISH.quantity(1e9, "s"), CHINESE.quantity(1e9, "s")),
    ],
)
def test_quantities(value, unit, english, chinese):
    assert ENGLISH.quantity(value, unit) == english
    assert CHINESE.quantity(value, unit) == chinese


def test_moments_are_told_in_the_companys_zone():
    assert ENGLISH.moment(NOW, "Asia/Shanghai") == "Nov 20, 2026 12:00"
    assert CHINESE.moment(NOW, "Asia/Shanghai") == "2026年11月20日 12:00"
    assert ENGLISH.zone_label(NOW, "Asia/Shanghai") == "UTC+8"
    assert ENGLISH.zone_label(NOW, "Asia/Kolkata") == "UTC+5:30"
    assert ENGLISH.zone_label(NOW, "America/St_Johns") == "UTC-3:30"
    assert ENGLISH.moment(None, "UTC") == ENGLISH.day(None) == NOTHING
    assert CHINESE.day(date(2024, 2, 29)) == "2024年2月29日"


def test_ages():
    assert ENGLISH.ago(NOW - timedelta(minutes=5), NOW) == "5 minutes ago"
    assert CHINESE.ago(NOW - timedelta(minutes=5), NOW) == "5分钟前"
    assert ENGLISH.span(timedelta(seconds=-3)) == "0 seconds"


def test_an_unknown_code_is_shown_as_it_is():
    assert ENGLISH.word("actor", "li_lei") == "li_lei"
    assert ENGLISH.word("valve", None) == NOTHING


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-TW", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh;q=0.2,en;q=0.1", "zh"),
        ("de", "en"),
        ("zh;q=0", "en"),
        ("", "en"),
        (";;q=x,,*", "en"),
    ],
)
def test_the_browsers_wish(header, language):
    assert accepted_language(header) == language


def test_a_note_of_the_engine_is_a_message_with_its_time_and_a_persons_stays():
    late = "late readings: it was so until 2026-11-20T04:00:00+00:00"
    assert CHINESE.note(late).startswith("迟到的读数")
    assert CHINESE.note(late).endswith("2026-11-20T04:00:00+00:00")
    assert ENGLISH.note(late) == late
    assert CHINESE.note("on my way") == "on my way"
