"""Which edge nodes were asked for their births, so that each is asked only now and then."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.formats.sparkplug_payload import rebirth_command
from ingest.formats.sparkplug_result import RebirthRequest
from ingest.formats.sparkplug_topic import SparkplugTopic

#: An edge node is asked for its births at most so often.
REBIRTH_INTERVAL_US = 10_000_000
#: Of more than this in one interval, the first may be asked once more.
MOST_ASKED = 20_000


@dataclass(slots=True)
class Rebirths:
    """Asks edge nodes for their births."""

    #: Hash of an edge node's key -> when it was asked; in the order of asking.
    _asked_us: dict[int, int] = field(default_factory=dict)
    _swept_us: int = 0

    def __len__(self) -> int:
        return len(self._asked_us)

    def copy(self) -> Rebirths:
        """Give one that stays as this one is now."""
        return Rebirths(dict(self._asked_us), self._swept_us)

    def ask(self, at: SparkplugTopic, now_us: int) -> list[RebirthRequest]:
        """Give the request to an edge node, if it is time; `now_us` in microseconds since 1970 UTC."""
        key = hash(at.edge_key)
        asked_us = self._asked_us.get(key)
        # A clock that was put back must not silence it.
        if asked_us is not None and 0 <= now_us - asked_us < REBIRTH_INTERVAL_US:
            return []
        self._sweep(now_us)
        self._asked_us.pop(key, None)
        self._asked_us[key] = now_us
        return [RebirthRequest(at.command_topic, rebirth_command(now_us))]

    def _sweep(self, now_us: int) -> None:
        """Forget who was asked long ago and may be asked again; so invented edge nodes fill no memory."""
        if not 0 <= now_us - self._swept_us < REBIRTH_INTERVAL_US:
            recent = now_us - REBIRTH_INTERVAL_US
            self._asked_us = {key: us for key, us in self._asked_us.items() if recent < us <= now_us}
            self._swept_us = now_us
        if len(self._asked_us) >= MOST_ASKED:
            del self._asked_us[next(iter(self._asked_us))]
