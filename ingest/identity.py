"""One ingest process per identity: two with one client id would throw each other out for ever."""

from __future__ import annotations

import threading

import structlog

from storage.database import AdvisoryLock, Database
from storage.exceptions import DatabaseUnavailableError

_log = structlog.get_logger(__name__)
_RETRY_S = 1.0


class Identity:
    """The right to ingest under a name; held for as long as a connection to the database lives."""

    def __init__(self, database: Database, name: str) -> None:
        self._name = name
        self._lock = AdvisoryLock(database, name)

    def wait(self, stop: threading.Event) -> bool:
        """Stand by until no other process has the name; False where told to stop first."""
        said = False
        while not stop.is_set():
            try:
                if self._lock.take():
                    return True
                if not said:
                    _log.info("another ingest process has this identity, standing by", identity=self._name)
                    said = True
            except DatabaseUnavailableError as error:
                _log.warning("database cannot be reached, trying again", error=str(error), wait_s=_RETRY_S)
            stop.wait(_RETRY_S)
        return False

    def is_held(self) -> bool:
        """Tell whether the name is still ours, and take it again where a lost connection freed it.

        Raises DatabaseUnavailableError while nobody can tell.
        """
        return self._lock.is_held() or self._lock.take()

    def release(self) -> None:
        """Let the next process have the name."""
        self._lock.release()
