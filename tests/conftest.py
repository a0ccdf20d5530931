"""Real parts for every test that wants them: a database from a template, brokers on free ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url

from fleet.meters import CustomerKind, Meter, ReadingClass, Technology
from runtime.embedded_broker import EmbeddedBroker, free_port
from runtime.embedded_database import EmbeddedDatabase
from storage.database import Database
from storage.migrate import migrate
from storage.partitions import ensure_partitions

_TEMPLATE = f"meterwarden_template_{os.getpid()}"
_NUMBERS = count()

# The same examples each time, so that one commit has one result; `make fuzz` looks for others. However long
# they take: a slow machine is no failure.
_RULES = settings(database=None, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _RULES, derandomize=True)
settings.register_profile("search", _RULES, derandomize=False)
settings.load_profile("repeatable")

#: The moment at which most stories begin; within the window in which readings are accepted.
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def missing_part(what: str) -> None:
    """Skip for a missing part, loudly; where all parts are required it is a failure."""
    if os.environ.get("METERWARDEN_REQUIRE_PARTS") == "1":
        pytest.fail(f"{what} is missing, and METERWARDEN_REQUIRE_PARTS=1 forbids to skip")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """An administrator's URL: METERWARDEN_DATABASE_URL, or an embedded server of this test run."""
    given = os.environ.get("METERWARDEN_DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="mw-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        with EmbeddedDatabase(Path(directory) / "pg") as url:
            # A throwaway server: what a power cut would lose is no loss here.
            _administer(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """A migrated database, copied for each test."""
    _administer(server_url, f"CREATE DATABASE {_TEMPLATE}")
    database = Database(_url_of(server_url, _TEMPLATE))
    migrate(database)
    with database.transaction() as transaction:
        ensure_partitions(transaction, NOW, past_days=400)
        ensure_partitions(transaction, datetime.now(UTC), past_days=400)
    database.close()
    _administer(
        server_url,
        # TimescaleDB's own workers would keep a template busy.
        f"ALTER DATABASE {_TEMPLATE} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_TEMPLATE}'",
    )
    yield _TEMPLATE
    _administer(server_url, f"DROP DATABASE {_TEMPLATE} WITH (FORCE)")


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """URL of a database in which nothing was ever done."""
    name = f"meterwarden_test_{os.getpid()}_{next(_NUMBERS)}"
    _administer(server_url, f"CREATE DATABASE {name}")
    yield _url_of(server_url, name)
    _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """URL of a fresh migrated database."""
    name = f"meterwarden_test_{os.getpid()}_{next(_NUMBERS)}"
    _administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url_of(server_url, name)
    _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh migrated database."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def now() -> datetime:
    """The moment at which the story begins."""
    return NOW


@pytest.fixture
def make_meter() -> Callable[..., Meter]:
    """Make a registry row; only what the test cares for has to be named."""

    def make(meter_id: str = "M1", **fields: object) -> Meter:
        row: dict[str, object] = {
            "meter_id": meter_id,
            "company": "north",
            "customer": f"Hotel {meter_id}",
            "customer_kind": CustomerKind.COMMERCIAL,
            "reading_class": ReadingClass.DAILY,
            "technology": Technology.ROOTS,
            "g_size": "G100",
            "qmax": 160.0,
            "qmin": 1.6,
            "interval_s": 3600,
        }
        return Meter(**{**row, **fields})  # type: ignore[arg-type]

    return make


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """The broker that the product brings along."""
    with EmbeddedBroker(tmp_path) as broker:
        yield broker


@pytest.fixture
def mosquitto_url(tmp_path: Path) -> Iterator[str]:
    """Debian's Mosquitto with the settings that the documentation asks for."""
    port = free_port()
    with _mosquitto(tmp_path, f"listener {port} 127.0.0.1\n", port):
        yield f"mqtt://127.0.0.1:{port}"


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """Mosquitto with a plain and a TLS listener; gives both URLs, and the certificate to trust."""
    if shutil.which("openssl") is None:
        missing_part("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    plain, tls = free_port(), free_port()
    listeners = (
        f"listener {plain} 127.0.0.1\nlistener {tls} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
    )
    with _mosquitto(tmp_path, listeners, tls):
        yield f"mqtt://127.0.0.1:{plain}", f"mqtts://localhost:{tls}", certificate


@contextmanager
def _mosquitto(directory: Path, listeners: str, port: int) -> Iterator[None]:
    binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        missing_part("mosquitto")
    config = directory / "mosquitto.conf"
    config.write_text(
        f"{listeners}allow_anonymous true\nmax_inflight_messages 0\n"
        f"max_queued_messages 0\npersistence true\npersistence_location {directory}/\nuser root\n",
        encoding="utf-8",
    )
    with subprocess.Popen([str(binary), "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        _wait_for_port(port)
        yield
        process.terminate()


@pytest.fixture
def real_data() -> Path:
    """Measured telemetry, where somebody has it: never part of the project."""
    given = os.environ.get("METERWARDEN_REAL_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("measured telemetry is not here (set METERWARDEN_REAL_DATA)")
    return folder


def _wait_for_port(port: int) -> None:
    import socket  # noqa: PLC0415
    import time  # noqa: PLC0415

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.02)  # waits for a foreign process, not for our own
    pytest.fail(f"nothing listens on port {port}")


def _administer(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def _url_of(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)
