"""Who may come in: the bearer token, and the cookie that a browser holds in its place."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

from starlette.requests import Request

SESSION_COOKIE = "meterwarden_session"
SESSION_LENGTH = timedelta(hours=12)


def token_matches(token: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(token.encode(), given.encode())


def session_value(token: str, expires_at: datetime) -> str:
    """Make a cookie that proves knowledge of the token without holding it."""
    expires_s = int(expires_at.timestamp())
    return f"{expires_s}.{_signature(token, expires_s)}"


def session_is_valid(token: str, value: str, now: datetime) -> bool:
    """Tell whether `session_value` made this cookie for this token, and it has not expired."""
    expires, _, signature = value.partition(".")
    if not (expires.isascii() and expires.isdigit()):
        return False
    expires_s = int(expires[:15])
    good = hmac.compare_digest(_signature(token, expires_s).encode(), signature.encode())
    return good and now.timestamp() < expires_s


def may_enter(request: Request, token: str, now: datetime) -> bool:
    """Tell whether a request shows the token, or outside `/api/` a valid cookie."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token_matches(token, given.strip()):
        return True
    cookie = request.cookies.get(SESSION_COOKIE, "")
    return not request.url.path.startswith("/api/") and session_is_valid(token, cookie, now)


def _signature(token: str, expires_s: int) -> str:
    message = f"meterwarden console session until {expires_s}".encode()
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()
