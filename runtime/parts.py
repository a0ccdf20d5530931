"""The database and the broker that a command works with: those of the settings, or embedded ones."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from runtime.embedded_broker import EmbeddedBroker
from runtime.embedded_database import EmbeddedDatabase
from runtime.settings import Settings
from storage.database import Database

_log = structlog.get_logger(__name__)

#: Fixed, so that `simulate` finds the embedded broker that `ingest` started.
EMBEDDED_PORT_V5, EMBEDDED_PORT_V3 = 18883, 18884


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database; the embedded one stops when its last user closes it."""
    if settings.database_url:
        database = Database(settings.database_url)
        try:
            yield database
        finally:
            database.close()
        return
    with EmbeddedDatabase(settings.data_dir.resolve() / "postgres") as url:
        _log.info("no METERWARDEN_DATABASE_URL: embedded PostgreSQL", directory=str(settings.data_dir))
        database = Database(url)
        try:
            yield database
        finally:
            database.close()


@contextmanager
def open_broker(settings: Settings) -> Iterator[str]:
    """Give the broker's URL; starts the embedded one where the settings name none."""
    if settings.mqtt_url:
        yield settings.mqtt_url
        return
    directory = settings.data_dir.resolve()
    with EmbeddedBroker(directory, port_v5=EMBEDDED_PORT_V5, port_v3=EMBEDDED_PORT_V3) as broker:
        url = broker.url if settings.mqtt_v5 else broker.url_v3
        _log.info("no METERWARDEN_MQTT_URL: embedded broker", url=url)
        yield url


def broker_url(settings: Settings) -> str:
    """Give the URL where a client finds the broker that `open_broker` opened."""
    port = EMBEDDED_PORT_V5 if settings.mqtt_v5 else EMBEDDED_PORT_V3
    return settings.mqtt_url or f"mqtt://127.0.0.1:{port}"


def stop_on_signals() -> threading.Event:
    """Make SIGINT, SIGTERM and SIGHUP ask for an orderly stop instead of killing."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop
