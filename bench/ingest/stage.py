"""What every contestant finds: a fresh broker with everything queued for it, and a fresh database."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ingest.broker import Broker, fresh_broker
from bench.ingest.process import Watched
from bench.ingest.raw_mqtt import keep_session, publish
from bench.ingest.scratch import Scratch
from bench.ingest.workload import Workload
from fleet.wire import ROOT
from storage.database import Database

TELEMETRY = f"{ROOT}/+/+/telemetry"
#: Python that runs a contestant, from the root of the project.
ROOT_DIRECTORY = Path(__file__).parents[2]
_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of one contestant came to."""

    #: Messages or readings per second.
    per_s: float
    #: Peak resident memory of the process, MB of 10^6 bytes; None where it was not asked for.
    rss_mb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a contestant performs."""

    messages: int
    scratch: Scratch
    directory: Path
    #: Version of MQTT that the first four speak, 3 (that is 3.1.1) or 5: it costs paho nearly half its speed.
    mqtt: int = 5
    #: Python of the environment in which the peers are installed; None without them.
    peers_python: str | None = None

    @property
    def timeout_s(self) -> float:
        """Longest that a contestant may take; a thousand messages a second are very few."""
        return 60 + self.messages / 1000

    @contextmanager
    def queued(self, client_id: str, workload: Workload) -> Iterator[Broker]:
        """Run a broker that holds the whole workload for the session of `client_id`."""
        with fresh_broker(self.directory) as broker:
            keep_session(broker.port, client_id, TELEMETRY)
            publish(broker.port, workload.publications())
            yield broker


def environment(**settings: str) -> dict[str, str]:
    """Give the environment for a child: none of Meterwarden's settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("METERWARDEN_")}
    return {**kept, **settings}


def stored_at(
    database: Database, workload: Workload, keys: dict[int, int], child: Watched, limit_s: float
) -> float:
    """Wait until the reading published last is there; a look costs one step in the index.

    Gives the moment; raises BenchError where it does not come in time.
    """
    number, seq, ts_ms = workload.last
    wanted = {"key": keys[number], "seq": seq, "ts_ms": ts_ms}
    sql = (
        "SELECT 1 AS found FROM reading WHERE meter_key = %(key)s AND seq = %(seq)s "
        "AND device_time = to_timestamp(%(ts_ms)s / 1000.0)"
    )
    return until(lambda: _finds(database, sql, wanted), child, limit_s, "the last reading")


def until(is_so: Callable[[], bool], child: Watched, limit_s: float, what: str) -> float:
    """Look every 10 ms; gives the moment at which it is so. Raises BenchError where it never is."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        child.check_alive()
        if time.monotonic() > deadline:
            child.fail(f"did not store {what} within {limit_s:.0f} s")
        time.sleep(_LOOK_S)
    return time.monotonic()


def _finds(database: Database, sql: str, wanted: dict[str, int]) -> bool:
    with database.transaction() as transaction:
        return transaction.row(sql, wanted) is not None
