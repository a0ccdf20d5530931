"""Whose a topic is, by the registry: looked up once per topic, not once per message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from fleet.readings import ABSENT
from fleet.wire import Topic, parse_topic
from ingest.refusals import Reason

#: Topics nobody registered would fill the memory otherwise.
_MOST_STRANGE = 20_000


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """What ingest has to know of a registered meter."""

    meter_key: int
    company: str


@dataclass(frozen=True, slots=True)
class Route:
    """What a topic means."""

    #: As text, whatever bytes it is made of.
    text: str
    topic: Topic | None
    #: None where the topic is no registered meter's.
    entry: DirectoryEntry | None
    #: Why not, for the whole message.
    reasons: tuple[Reason, ...]

    @property
    def is_unknown(self) -> bool:
        """Whether it is the topic of a meter that is not registered, perhaps only not yet."""
        return self.topic is not None and self.entry is None


@dataclass(slots=True)
class Directory:
    """Every registered meter, and the topics seen so far."""

    entries: dict[str, DirectoryEntry] = field(default_factory=dict)
    #: meter_key -> (company, meter_id).
    addresses: dict[int, tuple[str, str]] = field(default_factory=dict)
    _routes: dict[bytes, Route] = field(default_factory=dict)
    #: Topics on which a registered meter sends telemetry, and its number.
    _telemetry: dict[bytes, int] = field(default_factory=dict)

    #: Topics of nobody who is registered.
    _strange: dict[bytes, Route] = field(default_factory=dict)

    @classmethod
    def of(cls, meters: Iterable[tuple[str, int, str]]) -> Self:
        """Make a directory of (meter_id, meter_key, company)."""
        entries = {meter_id: DirectoryEntry(key, company) for meter_id, key, company in meters}
        return cls(entries, {e.meter_key: (e.company, meter_id) for meter_id, e in entries.items()})

    def updated(self, meters: Iterable[tuple[str, int, str]]) -> Self:
        """Give the directory with these meters as they are now; this very one where nothing changed."""
        fresh = self.of(meters)
        if fresh.entries.items() <= self.entries.items():
            return self
        return type(self)({**self.entries, **fresh.entries}, {**self.addresses, **fresh.addresses})

    def unknown(self, topics: Sequence[bytes]) -> list[str]:
        """Name the meters of these topics that are not registered, or not with this company."""
        keys = self.meter_keys(topics)
        if ABSENT not in keys:
            return []
        strange = {topic for topic, key in zip(topics, keys, strict=True) if key == ABSENT}
        routes = [route for route in map(self.route, strange) if route.is_unknown]
        return sorted({route.topic.meter_id for route in routes if route.topic is not None})

    def route(self, topic: bytes) -> Route:
        """Tell what a topic means."""
        known = self._routes.get(topic) or self._strange.get(topic)
        if known is None:
            known = self._look_up(topic.decode("utf-8", "backslashreplace"))
            if known.entry is None:
                if len(self._strange) >= _MOST_STRANGE:
                    self._strange.clear()
                self._strange[topic] = known
            else:
                self._routes[topic] = known
                if known.topic is not None and known.topic.leaf == "telemetry":
                    self._telemetry[topic] = known.entry.meter_key
        return known

    def meter_keys(self, topics: Sequence[bytes]) -> list[int]:
        """Tell which meter sends telemetry on each topic; ABSENT where none that is registered does."""
        found = [*map(self._telemetry.get, topics)]
        if None in found:
            for topic in {topic for topic, key in zip(topics, found, strict=True) if key is None}:
                self.route(topic)
            return [self._telemetry.get(topic, ABSENT) for topic in topics]
        return cast("list[int]", found)

    def _look_up(self, text: str) -> Route:
        topic = parse_topic(text)
        if topic is None:
            reason = "is not gas/v1/<company>/<meter>/telemetry"
            return Route(text, None, None, (Reason(None, "topic", reason),))
        entry = self.entries.get(topic.meter_id)
        if entry is None:
            return Route(text, topic, None, (Reason(None, "meter", f"{topic.meter_id} is not registered"),))
        if entry.company != topic.company:
            reason = f"{topic.meter_id} belongs to another company than {topic.company}"
            return Route(text, topic, None, (Reason(None, "company", reason),))
        return Route(text, topic, entry, ())
