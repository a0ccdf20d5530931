"""`meterwarden api`: the HTTP interface and the console."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uvicorn

from api.app import create_app
from runtime.exceptions import RuntimeFailure
from runtime.parts import open_database
from runtime.settings import Settings

_SHUTDOWN_S = 5


def run_api(settings: Settings) -> None:
    """Serve until a signal comes.

    Raises RuntimeFailure for an address that others can reach without a token, or that is taken.
    """
    token = settings.api_token.get_secret_value().strip() if settings.api_token else None
    if token is None and not is_loopback(settings.http_host):
        msg = f"set METERWARDEN_API_TOKEN before binding to {settings.http_host}, or stay on 127.0.0.1"
        raise RuntimeFailure(msg)
    with _listen(settings.http_host, settings.http_port) as listener, open_database(settings) as database:
        app = create_app(database, token=token, now=lambda: datetime.now(UTC))
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, timeout_graceful_shutdown=_SHUTDOWN_S
        )
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Returns after a signal; uvicorn's own raises it again, which would leave the database running."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let every signal that asks for an end have an orderly one."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        msg = f"cannot listen on {host}, port {port}: {error.strerror or error}; set METERWARDEN_HTTP_PORT"
        raise RuntimeFailure(msg) from error


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
