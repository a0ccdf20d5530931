"""What ingest does between batches: partitions, heartbeat, canary, requests for missing readings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.times import to_datetime
from ingest.backfill import due_requests
from ingest.canary import Canary
from ingest.heartbeat import Heartbeat
from ingest.session import MqttSession
from storage.database import Database
from storage.partitions import ensure_partitions

_ASK_US = 5_000_000


@dataclass(slots=True)
class Housekeeping:
    """Does what is due; remembers when it did it last, microseconds since 1970."""

    database: Database
    session: MqttSession
    canary: Canary
    heartbeat: Heartbeat
    max_age_days: int
    _partitions_on: object = None
    _asked_us: int = 0

    def tick(
        self, now_us: int, counts: Mapping[str, float], addresses: Mapping[int, tuple[str, str]]
    ) -> None:
        """Do what is due at a moment.

        Raises DatabaseUnavailableError, and IdentityLostError where another process took over.
        """
        now = to_datetime(now_us)
        if self._partitions_on != now.date():
            with self.database.transaction() as transaction:
                ensure_partitions(transaction, now, self.max_age_days)
            self._partitions_on = now.date()
        self.heartbeat.beat(now_us, counts)
        if self.session.connected:
            self._speak(now_us, addresses)

    def _speak(self, now_us: int, addresses: Mapping[int, tuple[str, str]]) -> None:
        token = self.canary.next_token(now_us)
        if token is not None:
            self.session.send(self.canary.topic, b"%d" % token)
        if not 0 <= now_us - self._asked_us < _ASK_US:
            self._asked_us = now_us
            self.session.publish(due_requests(self.database, addresses, to_datetime(now_us)))
