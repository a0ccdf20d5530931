"""Decoder of Sparkplug B, topics `spBv1.0/#`: births, deaths and data of edge nodes and their devices.

No I/O, no clock, and no message makes it raise. A device's id is the meter's id, for metrics of the
edge node itself the edge node's. Metrics are called like the native fields, with or without folders
before (`Gas/flow`); those of one moment make one reading. `status` is a string of codes with commas
between, or an array of strings.

Data messages name metrics by alias, which only births explain, so there is state. It may be lost at
any time: what cannot be explained is refused, and the edge node asked for its births.

Delivered twice, decoded twice:

- A batch that is not committed: `snapshot()` before its first message, `restore()` before decoding
  them again, and every result is the same again. Nothing of a result may be sent out earlier.
- A message that the broker delivers again after its commit gives the same readings, and no status,
  changes no state and asks for nothing, as long as it is among the last 256 of its edge node since
  the birth. An older one looks like a gap: named metrics are taken, a rebirth explains the others.

All messages of one edge node have to come through one object, in the order of the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fleet.wire import is_id
from ingest.formats.sparkplug_payload import Payload, parse, rebirth_command
from ingest.formats.sparkplug_readings import births, to_readings
from ingest.formats.sparkplug_state import (
    NODE,
    Arrival,
    Device,
    Edge,
    born,
    fingerprint,
    follow,
    online_devices,
    seen_alive,
    trusted,
    with_device,
)
from ingest.formats.sparkplug_topic import NAMESPACE, SparkplugTopic, is_ignored, parse_topic
from ingest.rules import Decoded, quote, refuse

#: An edge node is asked for its births at most so often.
REBIRTH_INTERVAL_US = 10_000_000


@dataclass(frozen=True, slots=True)
class RebirthRequest:
    """A message to publish, QoS 0, not retained."""

    topic: str
    payload: bytes


@dataclass(slots=True)
class SparkplugResult:
    """What one message holds; all lists are empty where it is none of ours."""

    #: Meter's id and its readings; with None comes what concerns the message as a whole.
    decoded: list[tuple[str | None, Decoded]] = field(default_factory=list)
    #: Meter's id and whether it is online from now on, in order.
    statuses: list[tuple[str, bool]] = field(default_factory=list)
    rebirths: list[RebirthRequest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A decoder's state at a moment; good for any number of `restore`."""

    edges: dict[tuple[str, str], Edge]
    asked_us: dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class _Message:
    at: SparkplugTopic
    topic: str
    raw: bytes
    payload: Payload
    received_us: int


class SparkplugDecoder:
    """Decodes the messages of any number of edge nodes."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], Edge] = {}
        self._asked_us: dict[tuple[str, str], int] = {}
        self._swept_us = 0

    def snapshot(self) -> Snapshot:
        """Keep the state; costs a reference for each edge node."""
        return Snapshot(dict(self._edges), dict(self._asked_us))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state kept."""
        self._edges, self._asked_us = dict(snapshot.edges), dict(snapshot.asked_us)

    def decode(self, topic: str, payload: bytes, received_us: int) -> SparkplugResult:
        """Decode one message; `received_us` in microseconds since 1970 UTC spaces the rebirth requests."""
        result = SparkplugResult()
        if is_ignored(topic):
            return result
        at = parse_topic(topic)
        if at is None:
            _refuse(result, "topic", f"is not {NAMESPACE}/<group>/<type>/<edge>[/<device>]")
            return result
        parsed = parse(payload)
        if isinstance(parsed, str):
            _refuse(result, "payload", parsed)
            return result
        handlers = {
            "NBIRTH": self._node_birth,
            "NDEATH": self._node_death,
            "DBIRTH": self._device_birth,
            "DDEATH": self._device_death,
        }
        handlers.get(at.kind, self._data)(_Message(at, topic, payload, parsed, received_us), result)
        return result

    def _node_birth(self, message: _Message, result: SparkplugResult) -> None:
        at, payload = message.at, message.payload
        before = self._edges.get(at.edge_key)
        print_ = fingerprint(message.topic, message.raw, None)
        node = Device(births(payload.metrics), print_, online=True)
        if before is None or not seen_alive(before, payload.seq, print_):
            bd_seq = payload.birth_death_number()
            edge = born(before, bd_seq, payload.seq, node, print_)
            if before is not None and before.alive:
                # Of a session that ended without a word, the devices are gone with it.
                gone = [name for name in online_devices(before) if name not in edge.devices]
                _say(result, gone, online=False)
            self._edges[at.edge_key] = edge
            _say(result, [at.edge], online=True)
        decoded, _ = to_readings(payload.metrics, node.births, "it is in no birth")
        _put(result, at.edge, decoded)

    def _node_death(self, message: _Message, result: SparkplugResult) -> None:
        at, bd_seq = message.at, message.payload.birth_death_number()
        edge = self._edges.get(at.edge_key)
        if bd_seq is None:
            _refuse(result, "bdSeq", "is missing, so whose death it is cannot be told")
        elif edge is None:
            _say(result, [at.edge], online=False)
        elif edge.bd_seq in (None, bd_seq):
            # Another number is the will of an earlier session, come late: the edge node is back.
            self._edges[at.edge_key] = replace(edge, alive=False)
            _say(result, [at.edge, *online_devices(edge)], online=False)

    def _device_birth(self, message: _Message, result: SparkplugResult) -> None:
        at, metrics = message.at, message.payload.metrics
        print_ = fingerprint(message.topic, message.raw, None)
        device = Device(births(metrics), print_, online=True)
        edge, arrival = self._follow(message, print_, result)
        if arrival is not Arrival.AGAIN:
            if edge is not None:
                self._edges[at.edge_key] = with_device(edge, at.meter_id, device)
            _say(result, [at.meter_id], online=True)
        decoded, _ = to_readings(metrics, device.births, "it is in no birth")
        _put(result, at.meter_id, decoded)

    def _device_death(self, message: _Message, result: SparkplugResult) -> None:
        at = message.at
        edge, arrival = self._follow(message, fingerprint(message.topic, message.raw, None), result)
        if arrival is Arrival.AGAIN:
            return
        device = None if edge is None else edge.devices.get(at.meter_id)
        if edge is not None and device is not None:
            self._edges[at.edge_key] = with_device(edge, at.meter_id, replace(device, online=False))
        _say(result, [at.meter_id], online=False)

    def _data(self, message: _Message, result: SparkplugResult) -> None:
        at, metrics = message.at, message.payload.metrics
        name = NODE if at.device is None else at.device
        before = self._edges.get(at.edge_key)
        device = None if before is None else before.devices.get(name)
        edge, arrival = self._follow(message, fingerprint(message.topic, message.raw, device), result)
        if not metrics:
            _refuse(result, "payload", "holds no metric")
            return
        known, missing = trusted(edge, name, arrival)
        decoded, resolved = to_readings(metrics, known, missing)
        if (known is None or not resolved) and arrival is not Arrival.AGAIN:
            self._ask(message, result)
        _put(result, at.meter_id, decoded)

    def _follow(self, message: _Message, print_: int, result: SparkplugResult) -> tuple[Edge | None, Arrival]:
        """Count a message, and ask for the births where one is missing."""
        edge = self._edges.get(message.at.edge_key)
        if edge is None:
            self._ask(message, result)
            return None, Arrival.GAP
        edge, arrival = follow(edge, message.payload.seq, print_)
        self._edges[message.at.edge_key] = edge
        if arrival is not Arrival.AGAIN and not (edge.in_step and edge.alive):
            self._ask(message, result)
        return edge, arrival

    def _ask(self, message: _Message, result: SparkplugResult) -> None:
        key, now_us = message.at.edge_key, message.received_us
        asked_us = self._asked_us.get(key)
        # A clock that was put back must not silence it.
        if asked_us is not None and 0 <= now_us - asked_us < REBIRTH_INTERVAL_US:
            return
        if not 0 <= now_us - self._swept_us < REBIRTH_INTERVAL_US:
            # Who was asked long ago may be asked again; so invented edge nodes fill no memory.
            recent = now_us - REBIRTH_INTERVAL_US
            self._asked_us = {k: us for k, us in self._asked_us.items() if recent < us <= now_us}
            self._swept_us = now_us
        self._asked_us[key] = now_us
        result.rebirths.append(RebirthRequest(message.at.command_topic, rebirth_command(now_us)))


def _say(result: SparkplugResult, meters: list[str], *, online: bool) -> None:
    result.statuses += [(meter, online) for meter in meters if is_id(meter)]


def _refuse(result: SparkplugResult, where: str, reason: str) -> None:
    decoded = Decoded()
    refuse(decoded, None, [(where, reason)])
    result.decoded.append((None, decoded))


def _put(result: SparkplugResult, meter_id: str, decoded: Decoded) -> None:
    """Add what a message says of a meter, if it says anything."""
    number = len(decoded.readings) + decoded.refused
    if number and is_id(meter_id):
        result.decoded.append((meter_id, decoded))
    elif number:
        _refuse(result, "meter", f"{quote(meter_id)} is no meter's id")
        result.decoded[-1][1].refused = number
