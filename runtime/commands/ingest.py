"""`meterwarden ingest`: from MQTT to committed rows."""

from __future__ import annotations

import gc
import sys
import threading

import structlog

from ingest.identity import Identity
from ingest.service import IngestOptions, IngestService
from ingest.session import MqttSession
from runtime.parts import open_broker, open_database, stop_on_signals
from runtime.settings import Settings
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError, NotMigratedError
from storage.migrate import is_migrated

_log = structlog.get_logger(__name__)
_BACKOFF_S = (0.5, 10.0)
#: Containers made before the collector looks for cycles; by default it looked hundreds of times a batch.
_COLLECT_AFTER = 200_000
#: A thread that the database has answered waits so long at most for one that decodes; 5 ms by default.
_SWITCH_S = 0.001


def run_ingest(settings: Settings) -> None:
    """Work until a signal comes. Raises SessionLostError or IdentityLostError."""
    stop = stop_on_signals()
    _tune_interpreter()
    options = IngestOptions(
        identity=settings.ingest_identity,
        max_age_days=settings.reading_max_age_days,
        share=settings.mqtt_share,
    )
    v5, expiry_s = settings.mqtt_v5, settings.mqtt_session_expiry_s
    with open_database(settings) as database:
        wait_for_database(database, stop)
        identity = Identity(database, options.identity)
        if identity.wait(stop):
            # Only now: of two processes on embedded parts one has the broker's ports.
            with open_broker(settings) as url:
                session = MqttSession(url, options.identity, v5=v5, expiry_s=expiry_s)
                IngestService(database, session, options, is_ours=identity.is_held).run(stop)
        identity.release()


def _tune_interpreter() -> None:
    """Spend the processor on telemetry: thousands of small objects a batch, none of them in a cycle."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    sys.setswitchinterval(_SWITCH_S)


def wait_for_database(database: Database, stop: threading.Event) -> None:
    """Wait with lines in the log until the database answers and is migrated, or until told to stop."""
    wait_s, most_s = _BACKOFF_S
    while not stop.is_set():
        try:
            if is_migrated(database):
                return
            _log.warning(str(NotMigratedError()), wait_s=wait_s)
        except DatabaseUnavailableError as error:
            _log.warning("database cannot be reached, trying again", error=str(error), wait_s=wait_s)
        stop.wait(wait_s)
        wait_s = min(2 * wait_s, most_s)
