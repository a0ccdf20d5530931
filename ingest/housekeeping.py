"""What ingest does between batches: partitions, canary, requests for missing readings, heartbeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.times import to_datetime
from ingest.backfill import due_requests
from ingest.canary import Canary
from ingest.exceptions import IdentityLostError
from ingest.session import MqttSession
from storage.database import Database
from storage.named_sql import load_queries
from storage.partitions import ensure_partitions

_SQL = load_queries("ingest")
_HEARTBEAT_US = 2_000_000
_ASK_US = 5_000_000


@dataclass(slots=True)
class Housekeeping:
    """Does what is due; remembers when it did it last, microseconds since 1970."""

    database: Database
    session: MqttSession
    canary: Canary
    #: Group of processes that this one belongs to, if any.
    share: str | None
    max_age_days: int
    is_ours: Callable[[], bool]
    started_at: datetime
    _partitions_on: object = None
    _beat_us: int = 0
    _asked_us: int = 0

    def tick(
        self, now_us: int, figures: Mapping[str, float], addresses: Mapping[int, tuple[str, str]]
    ) -> None:
        """Do what is due at a moment.

        Raises DatabaseUnavailableError, and IdentityLostError where another process took over.
        """
        now = to_datetime(now_us)
        if self._partitions_on != now.date():
            with self.database.transaction() as transaction:
                ensure_partitions(transaction, now, self.max_age_days)
            self._partitions_on = now.date()
        if not 0 <= now_us - self._beat_us < _HEARTBEAT_US:
            if not self.is_ours():
                msg = "another ingest process took over this identity"
                raise IdentityLostError(msg)
            self._beat(now, figures)
            self._beat_us = now_us
        if self.session.connected:
            self._speak(now_us, addresses)

    def _speak(self, now_us: int, addresses: Mapping[int, tuple[str, str]]) -> None:
        token = self.canary.next_token(now_us)
        if token is not None:
            self.session.send(self.canary.topic, b"%d" % token)
        if not 0 <= now_us - self._asked_us < _ASK_US:
            self._asked_us = now_us
            self.session.publish(due_requests(self.database, addresses, to_datetime(now_us)))

    def _beat(self, now: datetime, figures: Mapping[str, float]) -> None:
        with self.database.transaction() as transaction:
            gaps = transaction.row(_SQL["ingest_gaps_count"]) or {"gaps": 0}
            everything = {
                **figures,
                "gaps_open": gaps["gaps"],
                "backlog": self.session.backlog,
                "connected": self.session.connected,
                "connected_since_us": self.session.connected_since_us,
                "epoch": self.session.epoch,
                "last_canary_us": self.canary.seen_us,
                "share": self.share,
                "session_expiry_s": self.session.expiry_s,
            }
            values = {"instance": self.canary.identity, "figures": json.dumps(everything)}
            times = {"started_at": self.started_at, "beat_at": now}
            transaction.execute(_SQL["ingest_heartbeat"], values | times)
