"""Messages of other formats brought to the shape of the native ones. Only Sparkplug carries state."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.wire import Topic
from ingest.admission import Admitted, TimeWindow, admit_decoded, why_unexamined
from ingest.batch import AssembledBatch, add_admitted
from ingest.delivery import Messages
from ingest.directory import Directory, DirectoryEntry, Route
from ingest.formats import thingsboard
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.formats.sparkplug_result import SparkplugResult
from ingest.formats.sparkplug_topic import NAMESPACE
from ingest.refusals import Reason, Refusal, limited, unexamined
from ingest.rules import Decoded
from ingest.status import StatusChange

_Found = tuple[DirectoryEntry | None, int, Admitted]

_THINGSBOARD, _SPARKPLUG = thingsboard.TOPIC.encode(), f"{NAMESPACE}/".encode()


def is_other(topic: bytes) -> bool:
    """Tell whether a topic carries one of the formats of this file."""
    return topic == _THINGSBOARD or topic.startswith(_SPARKPLUG)


def take_others(
    batch: AssembledBatch,
    messages: Messages,
    rows: Sequence[int],
    directory: Directory,
    window: TimeWindow,
    sparkplug: SparkplugDecoder,
) -> None:
    """Add messages of other formats to a batch, in their order; a meter's company is the registry's."""
    found: list[_Found] = []
    for at in rows:
        topic = messages.topics[at].decode("utf-8", "backslashreplace")
        payload, received_us = messages.payloads[at], messages.received_us[at]
        why = why_unexamined(payload)
        if why is None:
            try:
                parts = _decode(batch, messages, at, directory, sparkplug)
                found += _admit(batch, parts, topic, payload, received_us, directory, window)
            except Exception as error:  # noqa: BLE001 (whatever one sends, all others go on)
                why = f"cannot be examined: {type(error).__name__}"
        if why is not None:
            batch.refusals.append(unexamined(topic, payload, received_us, why))
    add_admitted(batch, found)


def _decode(
    batch: AssembledBatch, messages: Messages, at: int, directory: Directory, sparkplug: SparkplugDecoder
) -> list[tuple[str | None, Decoded]]:
    if messages.topics[at] == _THINGSBOARD:
        return thingsboard.decode(messages.payloads[at], messages.received_us[at])
    return _sparkplug(batch, messages, at, directory, sparkplug)


def _admit(
    batch: AssembledBatch,
    parts: Sequence[tuple[str | None, Decoded]],
    topic: str,
    payload: bytes,
    received_us: int,
    directory: Directory,
    window: TimeWindow,
) -> list[_Found]:
    """Check what one message holds of each meter; it is kept once, whatever number of them is refused."""
    found: list[_Found] = []
    for meter_id, decoded in parts:
        route = _route(topic, meter_id, directory)
        admitted = admit_decoded(_named(decoded, meter_id), payload, received_us, route, window)
        found.append((route.entry, received_us, admitted))
    refused = [admitted.refusal for _, _, admitted in found if admitted.refusal is not None]
    if refused:
        reasons = limited([reason for refusal in refused for reason in refusal.reasons])
        readings = sum(refusal.readings for refusal in refused)
        batch.refusals.append(Refusal(topic, payload, received_us, readings, reasons))
    for _, _, admitted in found:
        admitted.refusal = None
    return found


def _sparkplug(
    batch: AssembledBatch, messages: Messages, at: int, directory: Directory, sparkplug: SparkplugDecoder
) -> list[tuple[str | None, Decoded]]:
    """Decode one message of Sparkplug; its topic comes back in requests, so it has to be text."""
    received_us = messages.received_us[at]
    try:
        topic = messages.topics[at].decode("utf-8")
    except UnicodeDecodeError:
        refused = SparkplugResult()
        refused.refuse("topic", "is not UTF-8")
        return refused.decoded
    result = sparkplug.decode(topic, messages.payloads[at], received_us)
    _add_words(batch, result, directory, received_us)
    return result.decoded


def _add_words(
    batch: AssembledBatch, result: SparkplugResult, directory: Directory, received_us: int
) -> None:
    for meter_id, online in result.statuses:
        entry = directory.entries.get(meter_id)
        # An edge node is often no meter itself.
        if entry is not None:
            batch.status.append(StatusChange(entry.meter_key, online, None, None, received_us))
    batch.requests += [(request.topic, request.payload) for request in result.rebirths]


def _route(topic: str, meter_id: str | None, directory: Directory) -> Route:
    if meter_id is None:
        return Route(topic, None, None, ())
    entry = directory.entries.get(meter_id)
    if entry is None:
        return Route(topic, None, None, (Reason(None, "meter", f"{meter_id} is not registered"),))
    return Route(topic, Topic(entry.company, meter_id, "telemetry"), entry, ())


def _named(decoded: Decoded, meter_id: str | None) -> Decoded:
    """Say in each reason whose it is: the topic does not, and the positions count within a device."""
    if meter_id is not None:
        decoded.reasons = [
            Reason(reason.item, reason.field, f"{meter_id}: {reason.reason}") for reason in decoded.reasons
        ]
    return decoded
