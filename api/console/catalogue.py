"""Message catalogues: gettext .po files, read as they are when the process starts."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib import resources

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

#: Language of a page -> its locale, for the catalogue's folder and for dates and numbers.
LOCALES = {"en": "en", "zh": "zh_CN"}
DEFAULT_LANGUAGE = "en"


def read_catalogue(language: str) -> Catalog:
    """Read the catalogue of a language; the files are package data."""
    path = resources.files("api.console").joinpath("locale", LOCALES[language], "LC_MESSAGES", "messages.po")
    return read_po(io.BytesIO(path.read_bytes()), locale=LOCALES[language])


@lru_cache
def translations(language: str) -> Translations:
    """Make gettext's translations of a language, compiled in memory."""
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(language))
    compiled.seek(0)
    return Translations(compiled)
