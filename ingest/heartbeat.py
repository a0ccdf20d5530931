"""What an ingest process says of itself every two seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fleet.times import to_datetime
from ingest.canary import Canary
from ingest.exceptions import IdentityLostError
from ingest.session import MqttSession
from storage.database import Database
from storage.named_sql import load_queries

_SQL = load_queries("ingest")
_EVERY_US = 2_000_000


@dataclass(slots=True)
class Heartbeat:
    """Beats when it is time; remembers when it did it last, microseconds since 1970."""

    database: Database
    session: MqttSession
    canary: Canary
    #: Group of processes that this one belongs to, if any.
    share: str | None
    is_ours: Callable[[], bool]
    started_at: datetime
    _beat_us: int = 0

    def beat(self, now_us: int, counts: Mapping[str, float]) -> None:
        """Say that the process lives, if it is time to.

        Raises StorageError, and IdentityLostError where another process took over.
        """
        if 0 <= now_us - self._beat_us < _EVERY_US:
            return
        if not self.is_ours():
            msg = "another ingest process took over this identity"
            raise IdentityLostError(msg)
        figures = {**counts, **self._state(now_us)}
        row = {"instance": self.canary.identity, "figures": json.dumps(figures)}
        times = {"started_at": self.started_at, "beat_at": to_datetime(now_us)}
        with self.database.transaction() as transaction:
            transaction.execute(_SQL["ingest_heartbeat"], row | times)
        self._beat_us = now_us

    def _state(self, now_us: int) -> dict[str, float | str | None]:
        session, canary = self.session, self.canary
        return {
            "backlog": session.backlog,
            "backlog_age_s": canary.overdue_s(now_us),
            "canary_round_trip_s": canary.round_trip_us / 1e6,
            "last_canary_us": canary.seen_us,
            "connected": session.connected,
            "connected_since_us": session.connected_since_us,
            "epoch": session.epoch,
            "session_expiry_s": session.expiry_s,
            "share": self.share,
            "rss_bytes": _resident_bytes(),
        }


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
