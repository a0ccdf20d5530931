"""Sign in with the token, sign out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from api.access import SESSION_COOKIE, SESSION_LENGTH, session_value, token_matches
from api.console.render import render, static_bytes
from api.guard import CONTENT_SECURITY_POLICY
from api.service import ServiceOf

router = APIRouter(include_in_schema=False)

_STYLE = "sign_in.css"


@router.post("/sign-in")
def sign_in(
    request: Request,
    service: ServiceOf,
    token: Annotated[str, Form(max_length=500)] = "",
    back: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Trade the token for a cookie that lasts for a shift."""
    if service.token is None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    if not token_matches(service.token, token.strip()):
        return sign_in_page(request, {"WWW-Authenticate": "Bearer"}, wrong=True, back=back)
    response = RedirectResponse(local_path(back), HTTPStatus.SEE_OTHER)
    response.set_cookie(
        SESSION_COOKIE,
        session_value(service.token, service.now() + SESSION_LENGTH),
        max_age=int(SESSION_LENGTH.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/sign-out")
def sign_out() -> Response:
    """Forget the cookie."""
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response


def sign_in_page(
    request: Request, headers: Mapping[str, str] | None, *, wrong: bool = False, back: str | None = None
) -> Response:
    """Ask for the token, with status 401.

    Static files need the token too, so this page alone brings its style along, allowed by its hash.
    """
    address = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    context = {"wrong": wrong, "back": local_path(back or address), "style": static_bytes(_STYLE).decode()}
    page = render(request, "sign_in.html", context, HTTPStatus.UNAUTHORIZED)
    page.headers.update(headers or {})
    page.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; style-src '{_style_hash()}'"
    return page


def local_path(address: str) -> str:
    """Keep a redirect inside the console: a path of this host, or the start page."""
    one_slash = address.startswith("/") and address[1:2] not in ("/", "\\")
    return address if one_slash and address.isprintable() and address != "/sign-in" else "/"


@lru_cache
def _style_hash() -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(static_bytes(_STYLE)).digest()).decode()
