"""Which messages of edge nodes were seen, so that one delivered again is known and read as it was then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.formats.sparkplug_readings import Births

#: A broker delivers again at most what fits into the window of MQTT 5 and 3, of whichever edge nodes.
WINDOW_MESSAGES = 65_535
#: Births that explain messages are kept as long as those, but no more than these, and as many once more.
_MOST_BYTES = 32_000_000


def fingerprint(life: int, topic: str, payload: bytes) -> int:
    """Hash a message of one life of its edge node; differs from process to process."""
    return hash((life, topic, payload))


@dataclass(slots=True)
class Seen:
    """The last messages of all edge nodes: `WINDOW_MESSAGES` or more, and never twice as many."""

    #: Fingerprint -> births that explain the message's aliases, or why there were none.
    _recent: dict[int, Births | str] = field(default_factory=dict)
    #: Those before, forgotten all at once; never changed, so that copies share it.
    _older: Mapping[int, Births | str] = field(default_factory=dict)
    #: Which births `_recent` keeps alive, by identity, and how big they are.
    _kept: set[int] = field(default_factory=set)
    _kept_bytes: int = 0

    def copy(self) -> Seen:
        """Give one that stays as this one is now."""
        return Seen(dict(self._recent), self._older, set(self._kept), self._kept_bytes)

    def recall(self, print_: int) -> Births | str | None:
        """Give what explained a message; None where the message was not seen."""
        found = self._recent.get(print_)
        return self._older.get(print_) if found is None else found

    def note(self, print_: int, known: Births | str) -> None:
        """Remember a message, and what explains it or why nothing does."""
        if len(self._recent) >= WINDOW_MESSAGES or self._kept_bytes > _MOST_BYTES:
            self._older, self._recent, self._kept, self._kept_bytes = self._recent, {}, set(), 0
        self._recent[print_] = known
        if isinstance(known, Births) and id(known) not in self._kept:
            self._kept.add(id(known))
            self._kept_bytes += known.size_bytes
