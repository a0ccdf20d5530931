"""What ends or delays the ingest process."""

from __future__ import annotations


class IngestError(Exception):
    """The ingest process cannot go on."""


class SessionLostError(IngestError):
    """The thread that speaks MQTT died; the process has to start anew."""


class IdentityLostError(IngestError):
    """Another process ingests under this name now; this one has to start anew and stand by."""


class ConcurrentImportError(IngestError):
    """Another process imports the same file."""

    def __init__(self) -> None:
        super().__init__("another process imports this file; let it finish, or end it and start again")
