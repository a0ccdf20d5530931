"""Messages by what they are: telemetry, a meter's status, our own canary; pure."""

from __future__ import annotations

from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch, assemble
from ingest.canary import read_token
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.refusals import Refusal
from ingest.status import StatusChange, WireStatus, decode_status


def take_in(
    messages: Messages, directory: Directory, window: TimeWindow, canary_topic: bytes
) -> AssembledBatch:
    """Make one batch of messages of any kind; what belongs to nobody is refused, never dropped."""
    others = [
        at for at, topic in enumerate(messages.topics) if topic == canary_topic or topic.endswith(b"/status")
    ]
    if not others:
        return assemble(messages, directory, window)
    apart = set(others)
    telemetry = messages.take([at for at in range(len(messages)) if at not in apart])
    batch = assemble(telemetry, directory, window)
    for at in others:
        if messages.topics[at] == canary_topic:
            batch.canary_token = read_token(messages.payloads[at]) or batch.canary_token
            continue
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
