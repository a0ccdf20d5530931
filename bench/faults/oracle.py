"""What the database holds at this moment, asked past every proxy."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extensions

from bench.faults.content import Key, Reading, readings_of, telemetry_of
from bench.faults.mqtt_stream import Published

_CONNECT_S = 2
_STATEMENT_MS = 5000
_MISSING = """
SELECT DISTINCT wanted.position
FROM unnest(%(positions)s::int[], %(meters)s::text[], %(times)s::bigint[], %(seqs)s::bigint[])
    AS wanted (position, meter_id, ts_ms, seq)
LEFT JOIN meter USING (meter_id)
WHERE NOT EXISTS (
    SELECT FROM reading
    WHERE reading.meter_key = meter.meter_key AND reading.seq = wanted.seq
        AND reading.device_time = to_timestamp(wanted.ts_ms / 1000.0)
)
"""
_NOT_REFUSED = """
SELECT wanted.position FROM unnest(%(positions)s::int[], %(payloads)s::bytea[]) AS wanted (position, payload)
WHERE NOT EXISTS (SELECT FROM refusal WHERE refusal.payload = wanted.payload)
"""
_STORED = """
SELECT meter_id, boot, seq, (extract(epoch FROM device_time) * 1000)::bigint AS ts_ms, flow_m3h, volume_m3
FROM reading JOIN meter USING (meter_key) WHERE boot = %(boot)s
"""
_GAPS = "SELECT count(*) FROM sequence_gap JOIN meter USING (meter_key) WHERE meter_id ~ %(pattern)s"
_REFUSED = "SELECT payload, reasons FROM refusal WHERE refusal_id > %(after)s ORDER BY refusal_id"
_COUNTS = """
SELECT (SELECT count(*) FROM reading), (SELECT count(*) FROM refusal),
    (SELECT coalesce(max(refusal_id), 0) FROM refusal),
    (SELECT count(*) FROM reading_conflict),
    (SELECT count(*) FROM pg_inherits WHERE inhparent = 'reading'::regclass)
"""


class AwayError(Exception):
    """The database cannot be asked at this moment."""


class Oracle:
    """One connection of its own, opened again where it was lost; any thread may ask."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg2.extensions.connection | None = None
        self._lock = threading.Lock()

    def not_kept(self, messages: Sequence[Published]) -> list[int]:
        """Give the positions of telemetry messages that are neither wholly stored nor refused.

        Raises AwayError.
        """
        found = [(at, telemetry_of(m.topic), m.payload) for at, m in enumerate(messages)]
        telemetry = {at: readings_of(meter, payload) for at, meter, payload in found if meter is not None}
        missing = {at for at, readings in telemetry.items() if not readings}
        missing |= self._missing({at: readings for at, readings in telemetry.items() if readings})
        if not missing:
            return []
        payloads = [psycopg2.Binary(messages[at].payload) for at in sorted(missing)]
        rows = self.ask(_NOT_REFUSED, positions=sorted(missing), payloads=payloads)
        return sorted(row[0] for row in rows)

    def has(self, readings: Sequence[Reading]) -> bool:
        """Tell whether all of these readings are committed. Raises AwayError."""
        return not self._missing({0: list(readings)})

    def stored(self, boot: int) -> list[Reading]:
        """List all rows of one boot."""
        rows = self.ask(_STORED, boot=boot)
        return [
            Reading(Key(meter, of, seq), ts_ms, flow, volume) for meter, of, seq, ts_ms, flow, volume in rows
        ]

    def refused(self, after: int) -> list[tuple[bytes, list[dict[str, Any]]]]:
        """List (payload, reasons) of the refusals behind a number."""
        return [(bytes(payload), reasons) for payload, reasons in self.ask(_REFUSED, after=after)]

    def gaps(self, pattern: str) -> int:
        """Count the open gaps of the meters whose id matches a regular expression."""
        return int(self.ask(_GAPS, pattern=pattern)[0][0])

    def counts(self) -> tuple[int, int, int, int, int]:
        """Count readings, refusals; give the last refusal's number; count conflicts and partitions."""
        readings, refusals, last, conflicts, partitions = self.ask(_COUNTS)[0]
        return readings, refusals, last, conflicts, partitions

    def ask(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement in autocommit and give its rows. Raises AwayError."""
        with self._lock:
            try:
                with self._open().cursor() as cursor:
                    cursor.execute(sql, parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error as error:
                if isinstance(error, psycopg2.ProgrammingError):
                    raise
                self._drop()
                raise AwayError(str(error)) from error

    @contextmanager
    def another(self) -> Iterator[psycopg2.extensions.cursor]:
        """Open a transaction of its own, which is rolled back when the block ends."""
        connection = psycopg2.connect(self._url, connect_timeout=_CONNECT_S, application_name="faults")
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _missing(self, wanted: dict[int, list[Reading]]) -> set[int]:
        rows = [(at, r.key.meter_id, r.ts_ms, r.key.seq) for at, readings in wanted.items() for r in readings]
        if not rows:
            return set()
        positions, meters, times, seqs = (list(column) for column in zip(*rows, strict=True))
        found = self.ask(_MISSING, positions=positions, meters=meters, times=times, seqs=seqs)
        return {row[0] for row in found}

    def _open(self) -> psycopg2.extensions.connection:
        if self._connection is None:
            self._connection = psycopg2.connect(
                self._url,
                connect_timeout=_CONNECT_S,
                application_name="faults",
                options=f"-c statement_timeout={_STATEMENT_MS}",
            )
            self._connection.autocommit = True
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
