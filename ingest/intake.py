"""Messages by what they are: telemetry, other formats, a meter's status, our own canary."""

from __future__ import annotations

from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch, assemble
from ingest.canary import read_token
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.other_formats import is_other, take_others
from ingest.refusals import Refusal
from ingest.status import StatusChange, WireStatus, decode_status

_TELEMETRY, _STATUS = b"/telemetry", b"/status"


def take_in(
    messages: Messages,
    directory: Directory,
    window: TimeWindow,
    canary_topic: bytes,
    sparkplug: SparkplugDecoder,
) -> AssembledBatch:
    """Make one batch of messages of any kind; what belongs to nobody is refused, never dropped.

    Pure but for the state of `sparkplug`, which goes on with these messages.
    """
    # Nearly all end so; the rest is sorted with care.
    rest = [at for at, topic in enumerate(messages.topics) if not topic.endswith(_TELEMETRY)]
    rest += [at for at, topic in enumerate(messages.topics) if topic.endswith(_TELEMETRY) and is_other(topic)]
    if not rest:
        return assemble(messages, directory, window)
    others = sorted(at for at in rest if is_other(messages.topics[at]))
    rest = sorted({*rest} - {*others})
    canaries = [at for at in rest if messages.topics[at] == canary_topic]
    status = [at for at in rest if messages.topics[at].endswith(_STATUS)]
    apart = {*others, *canaries, *status}
    batch = assemble(messages.take([at for at in range(len(messages)) if at not in apart]), directory, window)
    take_others(batch, messages, others, directory, window, sparkplug)
    for at in canaries:
        batch.canary_token = read_token(messages.payloads[at]) or batch.canary_token
    for at in status:
        found = _status_change(messages, at, directory)
        if isinstance(found, StatusChange):
            batch.status.append(found)
        else:
            batch.refusals.append(found)
    return batch


def _status_change(messages: Messages, at: int, directory: Directory) -> StatusChange | Refusal:
    route, received_us = directory.route(messages.topics[at]), messages.received_us[at]
    payload, reasons = messages.payloads[at], route.reasons
    if route.entry is not None:
        found = decode_status(payload)
        if isinstance(found, WireStatus):
            return StatusChange(route.entry.meter_key, found.online, found.boot, found.firmware, received_us)
        reasons = (found,)
    return Refusal(route.text, payload, received_us, 1, reasons)
