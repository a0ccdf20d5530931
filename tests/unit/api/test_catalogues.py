"""Every text that the console can show is in both catalogues."""

from __future__ import annotations

import re

import pytest

from api.console.catalogue import LOCALES, read_catalogue, translations
from api.console.messages import CODES, needed_messages
from fleet.checks import CATALOGUE

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@pytest.mark.parametrize("language", LOCALES)
def test_no_message_is_missing_and_none_is_left_over(language):
    found = {message.id: message for message in read_catalogue(language) if message.id}
    needed = needed_messages()
    assert len(needed) > 200
    assert sorted(map(str, needed - set(found))) == []
    assert sorted(map(str, set(found) - needed)) == []
    for message in found.values():
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(text.strip() for text in texts), message.id
        assert not message.fuzzy


@pytest.mark.parametrize("language", LOCALES)
def test_placeholders_are_kept(language):
    for message in read_catalogue(language):
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        known = {name for text in originals for name in PLACEHOLDER.findall(text)}
        for text in texts:
            if message.id:
                assert set(PLACEHOLDER.findall(text)) <= known
                assert "%" not in PLACEHOLDER.sub("", text)
        if known and not isinstance(message.id, tuple):
            assert set(PLACEHOLDER.findall(texts[0])) == known


def test_every_check_has_a_name_and_a_meaning():
    codes = {spec.code for spec in CATALOGUE}
    assert codes == set(CODES["check"]) == set(CODES["check_meaning"])


def test_chinese_messages_are_chinese():
    for kind in ("check", "severity", "alarm_state", "task_kind", "task_state"):
        for code in CODES[kind]:
            assert re.search(r"[\u4e00-\u9fff]", translations("zh").gettext(f"{kind}.{code}"))
