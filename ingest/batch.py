"""From messages to columns: the registry asked, the times checked, the rest refused; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from fleet.readings import ABSENT, ReadingBatch
from fleet.wire import NUMBER_FIELDS, VALVES, Topic, parse_topic, status_bits
from ingest.native_json import Claims, Decoded, WireReading, decode
from ingest.refusals import Reason, Refusal

#: A meter's clock may be so much ahead.
FUTURE_US = 10 * 60 * 1_000_000
_FIELD_NAMES = WireReading.__struct_fields__
_AT = {name: at for at, name in enumerate(_FIELD_NAMES)}


@dataclass(frozen=True, slots=True)
class Message:
    """An MQTT message as it was delivered."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    received_us: int
    #: Number of the connection that delivered it.
    epoch: int


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What ingest has to know of a registered meter."""

    meter_key: int
    company: str


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Device times that are taken, microseconds since 1970 UTC."""

    earliest_us: int
    latest_us: int

    @classmethod
    def around(cls, now_us: int, max_age_days: int) -> TimeWindow:
        """Take readings up to `max_age_days` old and up to 10 minutes ahead."""
        return cls(now_us - max_age_days * 86_400_000_000, now_us + FUTURE_US)


@dataclass(slots=True)
class AssembledBatch:
    """Messages as columns, and what of them was refused."""

    readings: ReadingBatch
    refusals: list[Refusal]
    #: (meter_key, boot) -> sequence numbers that this batch commits, refused ones included.
    sequences: dict[tuple[int, int], list[int]]
    #: Meters of the sequences: meter_key -> (company, meter_id), for confirming.
    addresses: dict[int, tuple[str, str]]
    unknown_fields: int


def assemble(
    messages: Sequence[Message], directory: Mapping[str, DirectoryEntry], window: TimeWindow
) -> AssembledBatch:
    """Decode messages of the topic `telemetry` into one batch."""
    rows: list[tuple[Any, ...]] = []
    keys: list[tuple[int, int, int]] = []
    batch = AssembledBatch(ReadingBatch.empty(), [], defaultdict(list), {}, 0)
    for message in messages:
        decoded = decode(message.payload)
        batch.unknown_fields += decoded.unknown_fields
        entry = _admit(message, decoded, directory, window)
        if decoded.refused:
            batch.refusals.append(_refusal(message, decoded))
        if entry is not None:
            _note_sequences(batch, message, entry, decoded)
            keys += [(entry.meter_key, time_us, message.received_us) for time_us in decoded.times_us]
            rows += [msgspec.structs.astuple(reading) for _, reading in decoded.readings]
    batch.readings = _columns(keys, rows)
    return batch


def _admit(
    message: Message, decoded: Decoded, directory: Mapping[str, DirectoryEntry], window: TimeWindow
) -> DirectoryEntry | None:
    """Check what the payload alone cannot tell: the topic, the registry, the time.

    Refused readings move from `decoded.readings` to its reasons. Gives the meter, None where the
    message belongs to no registered one.
    """
    topic = parse_topic(message.topic)
    entry = directory.get(topic.meter_id) if topic else None
    general: list[Reason] = []
    if topic is None:
        general.append(Reason(None, "topic", "is not gas/v1/<company>/<meter>/telemetry"))
    elif entry is None:
        general.append(Reason(None, "meter", f"{topic.meter_id} is not registered"))
    elif entry.company != topic.company:
        general.append(
            Reason(None, "company", f"{topic.meter_id} belongs to another company than {topic.company}")
        )
    for item, claimed_us, claims in decoded.refused_claims:
        decoded.reasons += _disagreements(item, claimed_us, claims, topic, window)
    kept, times = [], []
    for (item, reading), time_us in zip(decoded.readings, decoded.times_us, strict=True):
        wrong = _disagreements(item, time_us, reading, topic, window)
        decoded.reasons += wrong
        if wrong or general:
            decoded.refused += 1
            if reading.boot is not None and reading.seq is not None:
                decoded.refused_sequence.append((reading.boot, reading.seq))
        else:
            kept.append((item, reading))
            times.append(time_us)
    # By reading, and within one in the order found.
    decoded.reasons.sort(key=lambda reason: -1 if reason.item is None else reason.item)
    decoded.reasons[:0] = general
    decoded.readings, decoded.times_us = kept, times
    return None if general else entry


def _disagreements(
    item: int, time_us: int | None, claims: WireReading | Claims, topic: Topic | None, window: TimeWindow
) -> list[Reason]:
    wrong = []
    if time_us is not None and not window.earliest_us <= time_us <= window.latest_us:
        side = "older than accepted" if time_us < window.earliest_us else "in the future"
        wrong.append(Reason(item, "ts", f"is {side}"))
    if topic is not None:
        names = ("meter", "meter_id")
        other = [name for name in names if getattr(claims, name) not in (None, topic.meter_id)]
        wrong += [Reason(item, name, "disagrees with the topic") for name in other]
        if claims.company not in (None, topic.company):
            wrong.append(Reason(item, "company", "disagrees with the topic"))
    return wrong


def _refusal(message: Message, decoded: Decoded) -> Refusal:
    return Refusal(
        message.topic, message.payload, message.received_us, decoded.refused, tuple(decoded.reasons)
    )


def _note_sequences(batch: AssembledBatch, message: Message, entry: DirectoryEntry, decoded: Decoded) -> None:
    _, _, company, meter_id, _ = message.topic.split("/")
    taken = ((r.boot, r.seq) for _, r in decoded.readings)
    for boot, seq in chain(taken, decoded.refused_sequence):
        if boot is not None and seq is not None:
            batch.sequences[entry.meter_key, boot].append(seq)
            batch.addresses[entry.meter_key] = (company, meter_id)


def _columns(keys: list[tuple[int, int, int]], rows: list[tuple[Any, ...]]) -> ReadingBatch:
    if not rows:
        return ReadingBatch.empty()
    by_field = list(zip(*rows, strict=True))
    columns: dict[str, Any] = {
        column: np.array(by_field[_AT[name]], dtype=np.float64) for name, column in NUMBER_FIELDS.items()
    }
    columns.update(zip(("meter_key", "device_time_us", "received_us"), zip(*keys, strict=True), strict=True))
    for name in ("seq", "boot"):
        columns[name] = [ABSENT if value is None else value for value in by_field[_AT[name]]]
    columns["valve"] = [ABSENT if v is None else VALVES.index(v) for v in by_field[_AT["valve"]]]
    columns["status_bits"] = [ABSENT if v is None else status_bits(v) for v in by_field[_AT["status"]]]
    return ReadingBatch.build(len(rows), **columns)
