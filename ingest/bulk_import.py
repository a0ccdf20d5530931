"""A file of any size into the database: chunk by chunk, each in one transaction with its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fleet.times import to_datetime, to_us
from fleet.wire import CLOCK_AHEAD_US
from ingest.directory import DirectoryEntry
from ingest.dirty_work import leave_dirty_work
from ingest.file_piece import RefusedValue
from ingest.file_rows import FileChunk
from ingest.filemap import NATIVE, FileMap
from ingest.files import read_chunks
from ingest.import_admission import Admitted, admit
from ingest.import_progress import ImportId, ImportProgress, added, advance, begin, finish, identify
from storage.database import Database
from storage.exceptions import SerializationError
from storage.named_sql import load_queries
from storage.partitions import MonthPartition, ensure_months, months
from storage.readings import write_readings

_SQL = load_queries("ingest")

#: The engine takes up to 32 rows of work in one cycle: together half a million readings.
CHUNK_ROWS = 16_384
_ATTEMPTS = 5

#: Steps of a chunk at which a test may let it fail, in their order.
STEPS = ("told", "readings_written", "work_left", "progress_written", "committed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSource:
    """A file, and how it is read."""

    path: Path
    #: None where the columns have our own names.
    file_map: FileMap | None = None
    #: Time zone of times without an offset; None for the map's.
    tz: str | None = None
    chunk_rows: int = CHUNK_ROWS

    def identify(self, watch: Callable[[float], None] = lambda _share: None) -> ImportId:
        """Read the whole file for its digest; `watch` is told how far."""
        file_map = self.file_map or NATIVE
        return identify(self.path, file_map, self.tz or file_map.tz, watch)


class FileImport:
    """One import; another object, or another process, can go on where this one was broken off."""

    def __init__(
        self,
        database: Database,
        source: ImportSource,
        identity: ImportId,
        *,
        clock: Callable[[], datetime],
        failpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Begin an import, or take it up again.

        Parameters
        ----------
        database
            A migrated database.
        source, identity
            The file, and what it was recognised as.
        clock
            Asked for the time of the rows that are left for others, and for what the future is.
        failpoint
            Called with the name of each step of a chunk; see `STEPS`.

        """
        self._database = database
        self._source = source
        self._id = identity
        self._clock = clock
        self._failpoint = failpoint
        self._months: set[MonthPartition] = set()
        with database.transaction() as transaction:
            self.progress = begin(transaction, identity, source.path.name, clock())
            rows = transaction.rows(_SQL["ingest_directory"], {"since": to_datetime(0)})
        self._directory = {row["meter_id"]: DirectoryEntry(row["meter_key"], row["company"]) for row in rows}

    def chunks(
        self, tell_refused: Callable[[Sequence[RefusedValue]], None] = lambda _refused: None
    ) -> Iterator[float]:
        """Commit chunk after chunk; after each, yield how much of the file is done, 0 to 1.

        `tell_refused` is told what of a chunk is refused, before the chunk is committed.
        Raises FileError, ConcurrentImportError or StorageError; what was committed before stays.
        """
        # The same rows lie in the future, however often the import is broken off.
        latest_us = to_us(self.progress.started_at) + CLOCK_AHEAD_US
        source = self._source
        chunks = read_chunks(
            source.path,
            source.file_map,
            source.tz,
            rows=source.chunk_rows,
            after_line=self.progress.through_line,
            latest_us=latest_us,
        )
        for chunk in chunks:
            admitted = admit(chunk, self._directory, latest_us)
            tell_refused(admitted.refused)
            self._failpoint("told")
            self._take(chunk, admitted)
            self._failpoint("committed")
            yield chunk.share
        with self._database.transaction() as transaction:
            finish(transaction, self._id, self.progress, self._clock())

    def _take(self, chunk: FileChunk, admitted: Admitted) -> None:
        self._make_partitions(admitted.readings.device_time_us)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.progress = self._write(chunk, admitted)
                break
            except SerializationError:
                # Live telemetry of the same meters came between; nothing was written.
                if attempt == _ATTEMPTS:
                    raise

    def _write(self, chunk: FileChunk, admitted: Admitted) -> ImportProgress:
        now = self._clock()
        with self._database.transaction() as transaction:
            written = write_readings(transaction, admitted.readings)
            self._failpoint("readings_written")
            leave_dirty_work(transaction, written, now)
            self._failpoint("work_left")
            after = added(
                self.progress,
                through_line=chunk.through_line,
                inserted=written.inserted,
                duplicates=written.duplicates,
                conflicts=written.conflicts,
                refused=admitted.refused_rows,
            )
            advance(transaction, self._id, self.progress, after, now)
            self._failpoint("progress_written")
        return after

    def _make_partitions(self, device_time_us: NDArray[np.int64]) -> None:
        """Make the partitions of these times, in a transaction of their own."""
        days = np.unique(device_time_us.astype("datetime64[us]").astype("datetime64[M]"))
        wanted = {month for day in days.astype("datetime64[D]").tolist() for month in months(day, day)}
        new = sorted(wanted - self._months, key=lambda month: month.start)
        if new:
            with self._database.transaction() as transaction:
                ensure_months(transaction, new)
            self._months |= wanted
