"""Pages from templates: one Jinja environment per language."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from importlib import resources
from typing import Any

from babel import Locale
from fastapi import Request
from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import HTMLResponse

from api.access import SESSION_COOKIE
from api.console.catalogue import LOCALES, translations
from api.console.formats import Formats
from api.console.language import LANGUAGE_COOKIE, LANGUAGE_COOKIE_S, language_of
from api.service import get_service

_PACKAGE = resources.files("api.console")


@lru_cache
def environment(language: str) -> Environment:
    """Make the templates' surroundings in one language; everything is escaped."""
    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined] # added by the extension
    made.globals["f"] = Formats(Locale.parse(LOCALES[language]), translations(language))
    made.globals["static"] = static_address
    return made


def render(
    request: Request, template: str, context: dict[str, Any], status: int = HTTPStatus.OK
) -> HTMLResponse:
    """Render a page in the reader's language; a language asked for in the address is remembered."""
    language = language_of(request)
    service = get_service(request)
    html = (
        environment(language)
        .get_template(template)
        .render(
            **{
                "language": language,
                "html_lang": LOCALES[language].replace("_", "-"),
                "path": request.url.path,
                "with_query": lambda **values: with_query(request, **values),
                "now": service.now(),
                "signed_in": service.token is not None and SESSION_COOKIE in request.cookies,
                **context,
            }
        )
    )
    # The page depends on them, should anybody ever cache it.
    response = HTMLResponse(html, status, headers={"Vary": "Cookie, Accept-Language, HX-Request"})
    if request.query_params.get("lang") == language:
        response.set_cookie(
            LANGUAGE_COOKIE, language, max_age=LANGUAGE_COOKIE_S, httponly=True, samesite="strict"
        )
    return response


def with_query(request: Request, **values: Any) -> str:
    """Give this page's address with some of its query changed; None takes a value out."""
    parameters = {name: value for name, value in request.query_params.items() if name != "lang"}
    kept = {name: value for name, value in {**parameters, **values}.items() if value is not None}
    url = request.url.replace(query="").include_query_params(**kept)
    return f"{url.path}?{url.query}" if url.query else url.path


def wants_fragment(request: Request) -> bool:
    """Tell whether htmx asks, and only for the part of a page that changes."""
    return request.headers.get("hx-request") == "true"


@lru_cache
def static_address(name: str) -> str:
    """Give the address of a static file; it changes with the file, so that it can be cached."""
    digest = sha256(static_bytes(name)).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def static_bytes(name: str) -> bytes:
    """Read a static file from the package."""
    return _PACKAGE.joinpath("static", *name.split("/")).read_bytes()


def _source(name: str) -> str | None:
    path = _PACKAGE.joinpath("templates", name)
    return path.read_text("utf-8") if path.is_file() else None
