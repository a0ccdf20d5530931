"""Which readings of a file are taken: the registry asked, the times checked; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, ReadingBatch
from fleet.times import to_us
from ingest.directory import DirectoryEntry
from ingest.file_piece import RefusedValue
from ingest.file_rows import FileChunk

#: A history may reach back this far; an earlier time is a clock that was never set.
EARLIEST_US = to_us(datetime(1990, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """Readings under the registry's numbers, sorted by meter and time, and why others are left out."""

    readings: ReadingBatch
    #: By line; also what the file's own checks refused.
    refused: list[RefusedValue]

    @property
    def refused_rows(self) -> int:
        """How many rows were left out; a row may be refused for several reasons."""
        return len({wrong.line for wrong in self.refused})


def admit(chunk: FileChunk, directory: Mapping[str, DirectoryEntry], latest_us: int) -> Admitted:
    """Keep the readings of registered meters, of their own company and of a credible time."""
    ids, at = chunk.meters.distinct, chunk.meters.at
    entries = [directory.get(meter_id) for meter_id in ids]
    key = np.array([entry.meter_key if entry else ABSENT for entry in entries], dtype=np.int32)[at]
    readings = chunk.readings
    found = [
        (key == ABSENT, "meter_id", [f"{name} is not registered" for name in ids]),
        (
            (key != ABSENT) & _of_another_company(chunk, entries),
            "company",
            [f"{name} belongs to another company" for name in ids],
        ),
        (readings.device_time_us < EARLIEST_US, "ts", ["is before 1990"] * len(ids)),
        (readings.received_us > latest_us, "received", ["is in the future"] * len(ids)),
    ]
    wrong = np.zeros(len(key), dtype=np.bool_)
    refused = list(chunk.refused)
    for mask, field, reasons in found:
        wrong |= mask
        lines = zip(chunk.line[mask].tolist(), at[mask].tolist(), strict=True)
        refused += [RefusedValue(line, field, reasons[meter]) for line, meter in lines]
    kept = replace(readings, meter_key=key).take(~wrong).sorted_by_meter_and_time()
    return Admitted(kept, sorted(refused, key=lambda value: value.line))


def _of_another_company(chunk: FileChunk, entries: list[DirectoryEntry | None]) -> NDArray[np.bool_]:
    position = {name: at for at, name in enumerate(chunk.companies.distinct)}
    # A company that the chunk does not name is none of those it names.
    own = [position.get(entry.company, -2) if entry else -2 for entry in entries]
    claimed, of_meter = chunk.companies.at, np.array(own, dtype=np.int64)
    other: NDArray[np.bool_] = (claimed != ABSENT) & (claimed != of_meter[chunk.meters.at])
    return other
