"""The gate before every route: host, cross-site requests, size, token; and the security headers."""

from __future__ import annotations

import logging
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import may_enter
from api.problems import ProblemError, problem
from api.service import get_service

_LOG = logging.getLogger("api")

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
#: Without the token one may ask whether the process lives, and hand the token in.
OPEN_PATHS = ("/healthz", "/sign-in")
LARGEST_BODY_BYTES = 64 * 1024

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: with it browsers send `Origin: null` with the console's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware; the checks in the order in which a stranger meets them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        refusal = _refusal(request)
        if refusal is not None:
            await problem(request, refusal)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _LOG.exception("request failed: %s %s", request.method, request.url.path)
            if started:
                raise
            error = ProblemError(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it was logged."
            )
            await problem(request, error)(scope, receive, send_with_headers)


def _refusal(request: Request) -> ProblemError | None:
    service = get_service(request)
    if service.token is None and host_name(request.headers.get("host", "")) not in LOCAL_HOSTS:
        detail = "Without a token only this machine's own names are served: 127.0.0.1, localhost, [::1]."
        return ProblemError(HTTPStatus.MISDIRECTED_REQUEST, detail)
    if b"%00" in request.scope.get("raw_path", b"") + request.scope["query_string"]:
        return ProblemError(HTTPStatus.BAD_REQUEST, "A NUL character has no place in an address.")
    if request.method not in SAFE_METHODS:
        refusal = _write_refusal(request)
        if refusal is not None:
            return refusal
    if service.token is None or request.url.path in OPEN_PATHS:
        return None
    if may_enter(request, service.token, service.now()):
        return None
    detail = "Send the token as `Authorization: Bearer <token>`."
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})


def _write_refusal(request: Request) -> ProblemError | None:
    if is_cross_site(request):
        return ProblemError(HTTPStatus.FORBIDDEN, "This request was sent by another site's page.")
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" in request.headers:
        return ProblemError(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length.")
    if length is not None and (not length.isdigit() or int(length) > LARGEST_BODY_BYTES):
        detail = f"The body may have {LARGEST_BODY_BYTES} bytes."
        return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return None


def is_cross_site(request: Request) -> bool:
    """Tell whether a browser sends this for a page of another origin (Fetch Metadata, Origin)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")


def host_name(host: str) -> str:
    """Take the port and the brackets off a Host header."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
