"""Which language a page is in: asked for in the address, else chosen before, else the browser's."""

from __future__ import annotations

from babel.core import negotiate_locale
from starlette.requests import Request

from api.console.catalogue import DEFAULT_LANGUAGE, LOCALES

LANGUAGE_COOKIE = "meterwarden_lang"
LANGUAGE_COOKIE_S = 365 * 86400


def language_of(request: Request) -> str:
    """Choose `zh` or `en`: `?lang=`, then the cookie, then Accept-Language."""
    for wish in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wish in LOCALES:
            return wish
    return accepted_language(request.headers.get("accept-language", ""))


def accepted_language(header: str) -> str:
    """Choose by an Accept-Language header (RFC 9110); any kind of Chinese gets the Chinese pages."""
    wishes = sorted(_wishes(header), key=lambda wish: -wish[1])
    tags = [tag.partition("-")[0] for tag, quality in wishes if quality > 0]
    return negotiate_locale(tags, list(LOCALES)) or DEFAULT_LANGUAGE


def _wishes(header: str) -> list[tuple[str, float]]:
    wishes = []
    for part in header.split(","):
        tag, _, parameter = part.partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        wishes.append((tag.strip().lower(), quality))
    return wishes
