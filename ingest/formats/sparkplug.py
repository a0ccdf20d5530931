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
  changes no state and asks for nothing, as long as it is among the last 65,535 of all edge nodes,
  whatever births came since. An older one looks like a gap: named metrics are taken, a rebirth
  explains the others.

All messages of one edge node have to come through one object, in the order of the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingest.formats.sparkplug_edges import Edges
from ingest.formats.sparkplug_payload import Payload, parse
from ingest.formats.sparkplug_readings import Births, births, to_readings
from ingest.formats.sparkplug_rebirths import Rebirths
from ingest.formats.sparkplug_result import SparkplugResult
from ingest.formats.sparkplug_seen import Seen, fingerprint
from ingest.formats.sparkplug_state import (
    NODE,
    Device,
    Edge,
    born,
    follow,
    online_devices,
    trusted,
    with_device,
)
from ingest.formats.sparkplug_topic import NAMESPACE, SparkplugTopic, is_ignored, parse_topic


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A decoder's state at a moment; good for any number of `restore`."""

    edges: Edges
    rebirths: Rebirths
    seen: Seen
    lives: int


@dataclass(frozen=True, slots=True)
class _Message:
    at: SparkplugTopic
    topic: str
    raw: bytes
    payload: Payload
    received_us: int

    @property
    def device_key(self) -> str:
        return NODE if self.at.device is None else self.at.device


@dataclass(frozen=True, slots=True)
class _Followed:
    """How a message stands to those before it."""

    #: None where none of its edge node's births is known.
    edge: Edge | None
    #: A broker that had no acknowledgement delivers it a second time.
    again: bool
    #: Explains its aliases, or says why nothing does.
    known: Births | str


class SparkplugDecoder:
    """Decodes the messages of any number of edge nodes."""

    def __init__(self) -> None:
        self._edges = Edges()
        self._rebirths = Rebirths()
        self._seen = Seen()
        self._lives = 0

    def snapshot(self) -> Snapshot:
        """Keep the state; costs a reference for each edge node and each message remembered."""
        return Snapshot(self._edges.copy(), self._rebirths.copy(), self._seen.copy(), self._lives)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a state kept."""
        self._edges, self._rebirths = snapshot.edges.copy(), snapshot.rebirths.copy()
        self._seen, self._lives = snapshot.seen.copy(), snapshot.lives

    def decode(self, topic: str, payload: bytes, received_us: int) -> SparkplugResult:
        """Decode one message; `received_us` in microseconds since 1970 UTC spaces the rebirth requests."""
        result = SparkplugResult()
        if is_ignored(topic):
            return result
        at = parse_topic(topic)
        if at is None:
            result.refuse("topic", f"is not {NAMESPACE}/<group>/<type>/<edge>[/<device>]")
            return result
        parsed = parse(payload)
        if isinstance(parsed, str):
            result.refuse("payload", parsed)
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
        at, metrics = message.at, message.payload.metrics
        known = births(metrics)
        before = self._edges.get(at.edge_key)
        if before is None or not self._lives_by(before, message):
            edge = self._begin(message, before, known)
            if before is not None and before.alive:
                # Of a session that ended without a word, the devices are gone with it.
                gone = [name for name in online_devices(before) if name not in edge.devices]
                result.say(gone, online=False)
            result.say([at.edge], online=True)
        decoded, _ = to_readings(metrics, known)
        result.put(at.edge, decoded)

    def _lives_by(self, edge: Edge, message: _Message) -> bool:
        """Tell whether a birth is one that the edge node has lived by, delivered again.

        One that is out of step or dead takes any birth: some edge nodes send the same bytes each time.
        """
        return edge.alive and edge.in_step and self._was_seen(edge, message)

    def _was_seen(self, edge: Edge, message: _Message) -> bool:
        return self._seen.recall(fingerprint(edge.life, message.topic, message.raw)) is not None

    def _begin(self, message: _Message, before: Edge | None, known: Births) -> Edge:
        if before is None or self._was_seen(before, message):
            # What followed the earlier birth of these bytes may follow this one, and is no repetition.
            self._lives += 1
            life = self._lives
        else:
            life = before.life
        # Births explain themselves.
        self._seen.note(fingerprint(life, message.topic, message.raw), "")
        edge = born(before, life, message.payload, Device(known, online=True))
        self._edges.put(message.at.edge_key, edge)
        return edge

    def _node_death(self, message: _Message, result: SparkplugResult) -> None:
        at, bd_seq = message.at, message.payload.birth_death_number()
        edge = self._edges.get(at.edge_key)
        if bd_seq is None:
            result.refuse("bdSeq", "is missing, so whose death it is cannot be told")
        elif edge is None:
            result.say([at.edge], online=False)
        elif edge.bd_seq in (None, bd_seq):
            # Another number is the will of an earlier session, come late: the edge node is back.
            self._edges.put(at.edge_key, replace(edge, alive=False))
            result.say([at.edge, *online_devices(edge)], online=False)

    def _device_birth(self, message: _Message, result: SparkplugResult) -> None:
        at, metrics = message.at, message.payload.metrics
        known = births(metrics)
        followed = self._follow(message, result)
        if not followed.again:
            if followed.edge is not None:
                device = Device(known, online=True)
                self._edges.put(at.edge_key, with_device(followed.edge, at.meter_id, device))
            result.say([at.meter_id], online=True)
        decoded, _ = to_readings(metrics, known)
        result.put(at.meter_id, decoded)

    def _device_death(self, message: _Message, result: SparkplugResult) -> None:
        at, followed = message.at, self._follow(message, result)
        if followed.again:
            return
        edge = followed.edge
        device = None if edge is None else edge.devices.get(at.meter_id)
        if edge is not None and device is not None:
            self._edges.put(at.edge_key, with_device(edge, at.meter_id, replace(device, online=False)))
        result.say([at.meter_id], online=False)

    def _data(self, message: _Message, result: SparkplugResult) -> None:
        metrics, followed = message.payload.metrics, self._follow(message, result)
        if not metrics:
            result.refuse("payload", "holds no metric")
            return
        decoded, resolved = to_readings(metrics, followed.known)
        if not (isinstance(followed.known, Births) and resolved) and not followed.again:
            self._ask(message, result)
        result.put(message.at.meter_id, decoded)

    def _follow(self, message: _Message, result: SparkplugResult) -> _Followed:
        """Count a message, and ask for the births where one is missing."""
        edge, seq = self._edges.get(message.at.edge_key), message.payload.seq
        if edge is None:
            self._ask(message, result)
            return _Followed(None, again=False, known=trusted(None, message.device_key))
        print_ = fingerprint(edge.life, message.topic, message.raw)
        recalled = self._seen.recall(print_)
        # Without a time, the one expected may have the bytes of an earlier one by chance.
        if recalled is not None and (message.payload.dated or seq != edge.next_seq):
            return _Followed(edge, again=True, known=recalled)
        edge = follow(edge, seq)
        self._edges.put(message.at.edge_key, edge)
        known = trusted(edge, message.device_key)
        self._seen.note(print_, known)
        if not (edge.in_step and edge.alive):
            self._ask(message, result)
        return _Followed(edge, again=False, known=known)

    def _ask(self, message: _Message, result: SparkplugResult) -> None:
        result.rebirths += self._rebirths.ask(message.at, message.received_us)
