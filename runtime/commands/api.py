"""`meterwarden api`: the HTTP interface and the console."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import uvicorn

from api.app import create_app
from runtime.exceptions import RuntimeFailure
from runtime.parts import open_database
from runtime.settings import Settings

_SHUTDOWN_S = 5


def run_api(settings: Settings) -> None:
    """Serve until a signal comes.

    Raises RuntimeFailure for an address that others can reach without a token.
    """
    token = settings.api_token.get_secret_value() if settings.api_token else None
    if token is None and not is_loopback(settings.http_host):
        msg = f"set METERWARDEN_API_TOKEN before binding to {settings.http_host}, or stay on 127.0.0.1"
        raise RuntimeFailure(msg)
    with open_database(settings) as database:
        uvicorn.run(
            create_app(database, token=token, now=lambda: datetime.now(UTC)),
            host=settings.http_host,
            port=settings.http_port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
