"""What the demo stands on: its database, its processes' settings, and whether its console is there."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

from runtime.embedded_broker import EmbeddedBroker
from runtime.embedded_database import EmbeddedDatabase
from runtime.settings import Settings
from storage.database import Database

_DATABASE = "meterwarden_demo"


def database_url(settings: Settings, stack: ExitStack) -> str:
    """Give the URL of the settings' database, or of a fresh one on the embedded server."""
    if settings.database_url:
        return settings.database_url
    url = stack.enter_context(EmbeddedDatabase(settings.data_dir.resolve() / "postgres"))
    server = Database(url)
    with server.session() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {_DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {_DATABASE}")
    return url.replace("/postgres?", f"/{_DATABASE}?", 1)


def environment(broker: EmbeddedBroker, database: Database, settings: Settings, port: int) -> dict[str, str]:
    """Give the settings of the demo's processes."""
    return {
        "METERWARDEN_DATABASE_URL": database.url,
        "METERWARDEN_MQTT_URL": broker.url if settings.mqtt_v5 else broker.url_v3,
        "METERWARDEN_MQTT_VERSION": str(settings.mqtt_version),
        "METERWARDEN_HTTP_HOST": "127.0.0.1",
        "METERWARDEN_HTTP_PORT": str(port),
    }


def is_ready(console_url: str) -> bool:
    """Tell whether the console's parts say that they are ready."""
    try:
        with urllib.request.urlopen(f"{console_url}readyz", timeout=2) as answer:  # noqa: S310 (our own)
            return bool(answer.status == 200)  # noqa: PLR2004 (HTTP OK)
    except (urllib.error.URLError, OSError):
        return False


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
