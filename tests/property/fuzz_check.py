"""What has to hold of a batch, whatever messages it was made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fleet.readings import ABSENT, MEASUREMENTS
from fleet.wire import NUMBER_FIELDS, VALVES, status_bits
from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.intake import begin, finish
from ingest.other_formats import is_other
from ingest.refusals import Refusal
from ingest.writer import _refusal_row
from tests.property.payloads import CANARY, METERS, NOW_US, Reading, Sent

KEYS = {meter_id: at for at, meter_id in enumerate(METERS, start=1)}
DIRECTORY = Directory.of((meter_id, KEYS[meter_id], company) for meter_id, company in METERS.items())
WINDOW = TimeWindow.around(NOW_US, 90)
_LONGEST_TOPIC_BYTES = 65_535


def take(sent: Sequence[Sent]) -> AssembledBatch:
    """Make a batch as ingest does; each message is told apart by its time of arrival."""
    messages = Messages(
        [message.topic for message in sent],
        [message.payload for message in sent],
        [NOW_US + at for at in range(len(sent))],
    )
    return finish(begin(messages, DIRECTORY, WINDOW, CANARY), SparkplugDecoder())


def check(sent: Sequence[Sent], batch: AssembledBatch) -> Counter[str]:
    """Assert what has to hold; gives how much of what there was."""
    taken = Counter(batch.readings.received_us.tolist())
    refused: Counter[int] = Counter()
    for refusal in batch.refusals:
        refused[refusal.received_us] += refusal.readings
        _check_refusal(refusal, sent[refusal.received_us - NOW_US])
    said = Counter(change.changed_us for change in batch.status)
    for at, message in enumerate(sent, start=NOW_US):
        _check_count(message, taken[at], refused[at], said[at])
    _check_neighbours(sent, batch)
    _check_columns(batch)
    _check_words(batch)
    return Counter(messages=len(sent), taken=taken.total(), refused=refused.total())


def _check_count(message: Sent, taken: int, refused: int, said: int) -> None:
    if message.readings is not None:
        assert taken + refused == message.readings, message
    elif message.topic == CANARY or (message.topic.endswith(b"/status") and not message.payload):
        assert (taken, refused, said) == (0, 0, 0)
    elif not is_other(message.topic):
        assert refused + said == 1, message
        assert taken == 0
    elif message.topic == b"v1/gateway/telemetry":
        assert taken + refused > 0, message


def _check_refusal(refusal: Refusal, message: Sent) -> None:
    assert refusal.payload == message.payload
    assert refusal.readings >= 1
    assert refusal.reasons
    row = _refusal_row(refusal)
    reasons = json.loads(row["reasons"])
    assert all(reason["field"] and reason["reason"] for reason in reasons)
    texts = [row["topic"], *(reason[name] for reason in reasons for name in ("field", "reason"))]
    assert all(map(_storable, texts)), texts


def _storable(text: str) -> bool:
    """Tell whether PostgreSQL's text can hold it; raises UnicodeEncodeError where UTF-8 cannot."""
    return b"\0" not in text.encode("utf-8")


def _check_neighbours(sent: Sequence[Sent], batch: AssembledBatch) -> None:
    found = Counter(_rows(batch))
    wanted = Counter(
        _expected(at, meter_id, reading)
        for at, message in enumerate(sent, start=NOW_US)
        for meter_id, reading in message.good
    )
    assert not wanted - found, wanted - found


def _rows(batch: AssembledBatch) -> list[tuple[str, ...]]:
    """Give each reading as text, so that NaN equals NaN and 0.0 does not equal -0.0."""
    readings = batch.readings
    names = (
        "meter_key",
        "received_us",
        "device_time_us",
        "seq",
        "boot",
        "valve",
        "status_bits",
        *MEASUREMENTS,
    )
    columns = [getattr(readings, name).tolist() for name in names]
    return [tuple(map(repr, row)) for row in zip(*columns, strict=True)]


def _expected(received_us: int, meter_id: str, reading: Reading) -> tuple[str, ...]:
    values = {column: float(reading.get(wire, np.nan)) for wire, column in NUMBER_FIELDS.items()}
    valve = VALVES.index(reading["valve"]) if "valve" in reading else ABSENT
    bits = status_bits(reading["status"]) if "status" in reading else ABSENT
    key = (KEYS[meter_id], received_us, reading["ts"] * 1000, reading["seq"], reading["boot"], valve, bits)
    return tuple(map(repr, (*key, *(values[name] for name in MEASUREMENTS))))


def _check_columns(batch: AssembledBatch) -> None:
    readings = batch.readings
    assert set(readings.meter_key.tolist()) <= set(KEYS.values())
    assert (
        (readings.device_time_us >= WINDOW.earliest_us) & (readings.device_time_us <= WINDOW.latest_us)
    ).all()
    for name in MEASUREMENTS:
        assert not np.isinf(getattr(readings, name)).any()
    for key, boot, seq in batch.refused_sequence:
        assert key in KEYS.values()
        assert 0 <= boot < 2**63
        assert 0 <= seq < 2**63


def _check_words(batch: AssembledBatch) -> None:
    """Check what goes on to the database's text columns and to the broker."""
    for change in batch.status:
        assert change.firmware is None or _storable(change.firmware)
        assert change.boot is None or 0 <= change.boot < 2**63
    for topic, _ in batch.requests:
        assert 0 < len(topic.encode("utf-8")) <= _LONGEST_TOPIC_BYTES
        assert not set(topic) & set("+#\0")
    assert 0 <= batch.canary_token < 10**16
