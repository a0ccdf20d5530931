"""From messages to columns: the good ones all at once, the others one by one; pure.

Whether a reading can be taken is decided on columns. A message in which anything is unusual (it
cannot be decoded, says whose it is, lies outside the time window, carries no measurement) is
looked at closely by `ingest.admission`, which alone decides on refusals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.readings import ABSENT, MEASUREMENTS, ReadingBatch
from fleet.wire import NUMBER_FIELDS, VALVES, status_bits
from ingest.admission import Admitted, TimeWindow, admit
from ingest.delivery import Messages
from ingest.directory import Directory, DirectoryEntry
from ingest.native_json import DECODE_ERRORS, FAST
from ingest.refusals import Refusal
from ingest.rules import WireReading, parse_time_us
from ingest.status import StatusChange

_FIELD_NAMES = WireReading.__struct_fields__
_AT = {name: at for at, name in enumerate(_FIELD_NAMES)}
#: Stands for a time that is none; outside every window.
_NO_TIME = np.iinfo(np.int64).min


@dataclass(slots=True)
class AssembledBatch:
    """Messages as columns, and what of them was refused."""

    readings: ReadingBatch = field(default_factory=ReadingBatch.empty)
    refusals: list[Refusal] = field(default_factory=list)
    #: (meter_key, boot, seq) of refused readings: they are kept, so they leave no gap.
    refused_sequence: list[tuple[int, int, int]] = field(default_factory=list)
    unknown_fields: int = 0
    status: list[StatusChange] = field(default_factory=list)
    #: What edge nodes of other formats are asked for; to be published once the batch is committed.
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    #: Of our own canary, if one came; 0 where none did.
    canary_token: int = 0


def assemble(messages: Messages, directory: Directory, window: TimeWindow) -> AssembledBatch:
    """Decode messages of the topic `telemetry` into one batch."""
    found = _decode(messages, directory)
    keys, received_us = _owners(found.owner, messages, directory)
    readings = _columns(found.readings, keys, received_us)
    doubtful = _doubtful(readings, found.readings, window)
    closely = sorted({*found.closely, *found.owner[doubtful].tolist()})
    if len(closely) > len(found.closely):
        readings = readings.take(~np.isin(found.owner, closely))
    batch = AssembledBatch(readings)
    if closely:
        _look_closely(batch, messages, closely, directory, window)
    return batch


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """Readings of the messages that could be decoded at once."""

    readings: list[WireReading]
    #: Position of each reading's message.
    owner: NDArray[np.int64]
    #: Messages that need a closer look.
    closely: list[int]


def _decode(messages: Messages, directory: Directory) -> _Decoded:
    readings: list[WireReading] = []
    owner: list[int] = []
    closely: list[int] = []
    route, decode = directory.route, FAST.decode
    for at, (topic, payload) in enumerate(zip(messages.topics, messages.payloads, strict=True)):
        if route(topic).entry is None:
            closely.append(at)
            continue
        try:
            found = decode(payload)
        except DECODE_ERRORS:
            closely.append(at)
            continue
        if isinstance(found, WireReading):
            readings.append(found)
            owner.append(at)
        elif found:
            readings += found
            owner += [at] * len(found)
        else:
            closely.append(at)
    return _Decoded(readings, np.array(owner, dtype=np.int64), closely)


def _doubtful(batch: ReadingBatch, readings: Sequence[WireReading], window: TimeWindow) -> NDArray[np.bool_]:
    """Mark readings that cannot be taken without a closer look."""
    time_us = batch.device_time_us
    doubtful = (time_us < window.earliest_us) | (time_us > window.latest_us)
    empty = (batch.valve == ABSENT) & (batch.status_bits == ABSENT)
    for name in MEASUREMENTS:
        if not empty.any():
            break
        empty &= np.isnan(getattr(batch, name))
    doubtful |= empty
    claims = [
        at
        for at, r in enumerate(readings)
        if r.meter is not None or r.meter_id is not None or r.company is not None
    ]
    doubtful[claims] = True
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
    taken = _columns(readings, np.array(keys, dtype=np.int32), np.array(received_us, dtype=np.int64))
    batch.readings = ReadingBatch.concatenate([batch.readings, taken])


def _owners(
    owner: NDArray[np.int64], messages: Messages, directory: Directory
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Give each reading's meter number and time of arrival."""
    entries = [directory.route(topic).entry for topic in messages.topics]
    keys = np.array([ABSENT if entry is None else entry.meter_key for entry in entries], dtype=np.int32)
    return keys[owner], np.array(messages.received_us, dtype=np.int64)[owner]


def _columns(
    readings: Sequence[WireReading], meter_key: NDArray[np.int32], received_us: NDArray[np.int64]
) -> ReadingBatch:
    if not readings:
        return ReadingBatch.empty()
    by_field = list(zip(*map(msgspec.structs.astuple, readings), strict=True))
    columns: dict[str, Any] = {
        column: _numbers(by_field[_AT[name]]) for name, column in NUMBER_FIELDS.items()
    }
    for name in ("seq", "boot"):
        columns[name] = _optional(by_field[_AT[name]])
    columns["valve"] = _optional(by_field[_AT["valve"]], VALVES.index)
    columns["status_bits"] = _optional(by_field[_AT["status"]], status_bits)
    columns["device_time_us"] = _times_us(by_field[_AT["ts"]])
    return ReadingBatch.build(len(readings), meter_key=meter_key, received_us=received_us, **columns)


def _numbers(values: tuple[Any, ...]) -> NDArray[np.float64] | None:
    """Make a column of numbers, NaN for None; None where nobody reports it."""
    return None if values.count(None) == len(values) else np.array(values, dtype=np.float64)


def _optional(values: tuple[Any, ...], convert: Any = int) -> NDArray[np.int64] | None:
    """Make a column of whole numbers, ABSENT for None; None where nobody reports it."""
    absent = values.count(None)
    if absent == len(values):
        return None
    if absent == 0 and convert is int:
        return np.array(values, dtype=np.int64)
    return np.array([ABSENT if value is None else convert(value) for value in values], dtype=np.int64)


def _times_us(values: tuple[Any, ...]) -> NDArray[np.int64]:
    times = [ts * 1000 if ts.__class__ is int else parse_time_us(ts) for ts in values]
    if None in times:
        times = [_NO_TIME if time_us is None else time_us for time_us in times]
    return np.array(times, dtype=np.int64)
