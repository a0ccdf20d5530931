"""Messages by what they are: telemetry, other formats, a meter's status, our own canary.

In two steps, because telemetry depends on nothing but the registry and the clock, and can be decoded
while the batch before it is still being written.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.readings import ABSENT
from ingest.admission import TimeWindow
from ingest.batch import AssembledBatch, assemble
from ingest.canary import read_token
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.other_formats import is_other, take_others
from ingest.refusals import Refusal
from ingest.status import StatusChange, WireStatus, decode_status
from storage.readings import encode_readings

_STATUS = b"/status"


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """Messages whose telemetry is decoded, and where the others stand."""

    messages: Messages
    directory: Directory
    window: TimeWindow
    batch: AssembledBatch
    others: list[int]
    canaries: list[int]
    status: list[int]


def begin(messages: Messages, directory: Directory, window: TimeWindow, canary_topic: bytes) -> Intake:
    """Sort messages, and decode those of the native telemetry; pure."""
    keys = directory.meter_keys(messages.topics)
    # Nearly all are telemetry of registered meters; the rest is sorted with care.
    rest = [at for at, key in enumerate(keys) if key == ABSENT] if ABSENT in keys else []
    others = [at for at in rest if is_other(messages.topics[at])]
    canaries = [at for at in rest if messages.topics[at] == canary_topic]
    apart = {*others, *canaries}
    status = [at for at in rest if at not in apart and messages.topics[at].endswith(_STATUS)]
    apart.update(status)
    # An empty one says that a retained status was cleared, and nothing of the meter.
    status = [at for at in status if messages.payloads[at]]
    native = messages.take([at for at in range(len(messages)) if at not in apart]) if apart else messages
    batch = assemble(native, directory, window)
    batch.encoded = encode_readings(batch.readings)
    return Intake(messages, directory, window, batch, others, canaries, status)


def finish(intake: Intake, sparkplug: SparkplugDecoder) -> AssembledBatch:
    """Add what is no native telemetry; what belongs to nobody is refused, never dropped.

    Pure but for the state of `sparkplug`, which goes on with these messages.
    """
    messages = intake.messages
    # A copy, because a batch that could not be written is finished again.
    batch = intake.batch.copy()
    if intake.others:
        take_others(batch, messages, intake.others, intake.directory, intake.window, sparkplug)
    for at in intake.canaries:
        batch.canary_token = read_token(messages.payloads[at]) or batch.canary_token
    for at in intake.status:
        found = _status_change(messages, at, intake.directory)
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
