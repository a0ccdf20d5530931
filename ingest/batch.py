"""From messages to columns: the good ones all at once, the others one by one; pure.

Whether a reading can be taken is decided on columns. A message in which anything is unusual (it
cannot be decoded, says whose it is, lies outside the time window, carries no measurement) is
looked at closely by `ingest.admission`, which alone decides on refusals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, MEASUREMENTS, ReadingBatch
from fleet.wire import NUMBER_FIELDS, VALVES, status_bits
from ingest.admission import Admitted, TimeWindow, admit
from ingest.delivery import Messages
from ingest.directory import Directory, DirectoryEntry
from ingest.native_json import DECODE_ERRORS, FAST
from ingest.refusals import MOST_PAYLOAD_BYTES, Refusal
from ingest.rules import WireReading, parse_time_us
from ingest.status import StatusChange

#: Stands for a time that is none; outside every window.
_NO_TIME = np.iinfo(np.int64).min
#: Decoded in about a millisecond.
_PIECE_BYTES = 1 << 17


@dataclass(slots=True)
class AssembledBatch:
    """Messages as columns, and what of them was refused."""

    readings: ReadingBatch = field(default_factory=ReadingBatch.empty)
    #: The same as the database takes them, where somebody had the time to prepare it.
    encoded: bytes | None = None
    refusals: list[Refusal] = field(default_factory=list)
    #: (meter_key, boot, seq) of refused readings: they are kept, so they leave no gap.
    refused_sequence: list[tuple[int, int, int]] = field(default_factory=list)
    unknown_fields: int = 0
    status: list[StatusChange] = field(default_factory=list)
    #: What edge nodes of other formats are asked for; to be published once the batch is committed.
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    #: Of our own canary, if one came; 0 where none did.
    canary_token: int = 0

    def copy(self) -> AssembledBatch:
        """Give a batch to which more can be added while this one stays as it is."""
        return replace(
            self,
            refusals=[*self.refusals],
            refused_sequence=[*self.refused_sequence],
            status=[*self.status],
            requests=[*self.requests],
        )

    def numbered(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Give meter, boot and number of all readings that have a number, refused ones included."""
        readings = self.readings
        rows = np.flatnonzero((readings.boot != ABSENT) & (readings.seq != ABSENT))
        refused = np.array(self.refused_sequence, dtype=np.int64).reshape(-1, 3)
        return (
            np.concatenate([readings.meter_key[rows].astype(np.int64), refused[:, 0]]),
            np.concatenate([readings.boot[rows], refused[:, 1]]),
            np.concatenate([readings.seq[rows], refused[:, 2]]),
        )


def assemble(messages: Messages, directory: Directory, window: TimeWindow) -> AssembledBatch:
    """Decode messages of the topic `telemetry` into one batch."""
    keys = directory.meter_keys(messages.topics)
    found = _decode(messages.payloads)
    columns = _columns_of(found, keys, messages.received_us)
    closely = {*found.closely, *found.owner[_doubtful(columns, found, window)].tolist()}
    if ABSENT in keys:
        closely.update(at for at, key in enumerate(keys) if key == ABSENT)
    if not closely:
        return AssembledBatch(columns)
    batch = AssembledBatch(columns.take(~np.isin(found.owner, list(closely))))
    _look_closely(batch, messages, sorted(closely), directory, window)
    return batch


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """Readings of the messages that could be decoded at once."""

    #: Wire field -> what each reading holds there, None where it does not say.
    values: dict[str, list[Any]]
    #: Position of each reading's message.
    owner: NDArray[np.int64]
    #: Messages that need a closer look.
    closely: list[int]


def _decode(payloads: Sequence[bytes]) -> _Decoded:
    found: list[Any] = []
    if max(map(len, payloads), default=0) > MOST_PAYLOAD_BYTES:
        # An empty one decodes to nothing, and is looked at closely.
        payloads = [payload if len(payload) <= MOST_PAYLOAD_BYTES else b"" for payload in payloads]
    for piece in _pieces(payloads):
        try:
            found += list(map(FAST.decode, piece))
        except DECODE_ERRORS:
            found += [_decode_or_nothing(payload) for payload in piece]
    if list not in set(map(type, found)):
        return _Decoded(_by_field(found), np.arange(len(found)), [])
    groups = [readings if isinstance(readings, list) else [readings] for readings in found]
    sizes = list(map(len, groups))
    closely = [at for at, size in enumerate(sizes) if size == 0]
    return _Decoded(
        _by_field(list(chain.from_iterable(groups))), np.repeat(np.arange(len(groups)), sizes), closely
    )


def _pieces(payloads: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut so that no thread has to wait for long: one call decodes a whole piece without a break."""
    size_bytes = sum(map(len, payloads))
    step = max(1, len(payloads) * _PIECE_BYTES // max(1, size_bytes))
    return (payloads[at : at + step] for at in range(0, len(payloads), step))


def _decode_or_nothing(payload: bytes) -> Any:
    try:
        return FAST.decode(payload)
    except DECODE_ERRORS:
        return []


def _by_field(readings: list[Any]) -> dict[str, list[Any]]:
    # Field by field rather than reading by reading: half the time, and no tuple for each reading.
    return {name: list(map(attrgetter(name), readings)) for name in WireReading.__struct_fields__}


def _doubtful(batch: ReadingBatch, found: _Decoded, window: TimeWindow) -> NDArray[np.bool_]:
    """Mark readings that cannot be taken without a closer look."""
    time_us = batch.device_time_us
    doubtful = (time_us < window.earliest_us) | (time_us > window.latest_us)
    empty = (batch.valve == ABSENT) & (batch.status_bits == ABSENT)
    for name in MEASUREMENTS:
        if not empty.any():
            break
        empty &= np.isnan(getattr(batch, name))
    doubtful |= empty
    for name in ("meter", "meter_id", "company"):
        claims = found.values[name]
        if claims.count(None) < len(claims):
            doubtful |= np.array([claim is not None for claim in claims])
    return doubtful


def _look_closely(
    batch: AssembledBatch, messages: Messages, closely: list[int], directory: Directory, window: TimeWindow
) -> None:
    """Add what can be taken of unusual messages, and refuse the rest."""
    found = []
    for at in closely:
        route = directory.route(messages.topics[at])
        admitted = admit(messages.payloads[at], messages.received_us[at], route, window)
        found.append((route.entry, messages.received_us[at], admitted))
    add_admitted(batch, found)


def add_admitted(batch: AssembledBatch, found: Sequence[tuple[DirectoryEntry | None, int, Admitted]]) -> None:
    """Add what was looked at closely: whose it is, when it was received, and what of it is taken."""
    readings: list[WireReading] = []
    keys: list[int] = []
    received_us: list[int] = []
    for entry, at_us, admitted in found:
        batch.unknown_fields += admitted.unknown_fields
        if admitted.refusal is not None:
            batch.refusals.append(admitted.refusal)
        if entry is not None:
            readings += admitted.readings
            keys += [entry.meter_key] * len(admitted.readings)
            received_us += [at_us] * len(admitted.readings)
            key = entry.meter_key
            batch.refused_sequence += [(key, boot, seq) for boot, seq in admitted.refused_sequence]
    taken = _columns(
        _by_field(readings), np.array(keys, dtype=np.int32), np.array(received_us, dtype=np.int64)
    )
    if len(taken):
        batch.readings, batch.encoded = ReadingBatch.concatenate([batch.readings, taken]), None


def _columns_of(found: _Decoded, keys: Sequence[int], received_us: Sequence[int]) -> ReadingBatch:
    """Make columns of all that could be decoded, whose it is and when it came."""
    key_of, received_of = np.array(keys, dtype=np.int32), np.array(received_us, dtype=np.int64)
    return _columns(found.values, key_of[found.owner], received_of[found.owner])


def _columns(
    values: dict[str, list[Any]], meter_key: NDArray[np.int32], received_us: NDArray[np.int64]
) -> ReadingBatch:
    columns: dict[str, Any] = {column: _numbers(values[name]) for name, column in NUMBER_FIELDS.items()}
    for name in ("seq", "boot"):
        columns[name] = _optional(values[name])
    columns["valve"] = _optional(values["valve"], VALVES.index)
    columns["status_bits"] = _optional(values["status"], status_bits)
    columns["device_time_us"] = _times_us(values["ts"])
    return ReadingBatch.build(len(meter_key), meter_key=meter_key, received_us=received_us, **columns)


def _numbers(values: list[Any]) -> NDArray[np.float64] | None:
    """Make a column of numbers, NaN for None; None where nobody reports it."""
    return None if values.count(None) == len(values) else np.array(values, dtype=np.float64)


def _optional(values: list[Any], convert: Any = int) -> NDArray[np.int64] | None:
    """Make a column of whole numbers, ABSENT for None; None where nobody reports it."""
    absent = values.count(None)
    if absent == len(values):
        return None
    if absent == 0 and convert is int:
        return np.array(values, dtype=np.int64)
    return np.array([ABSENT if value is None else convert(value) for value in values], dtype=np.int64)


def _times_us(values: list[Any]) -> NDArray[np.int64]:
    if str in set(map(type, values)):
        times = [parse_time_us(ts) for ts in values]
        return np.array([_NO_TIME if time_us is None else time_us for time_us in times], dtype=np.int64)
    return np.array(values, dtype=np.int64) * 1000
