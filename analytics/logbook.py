"""Every finding that was ever raised, when, and what is known of it last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from analytics.segments import Mask
from analytics.truth import Findings
from fleet.checks import BY_CODE

#: Meter, check, part and onset: who agrees in these is one finding.
Key = tuple[int, int, int, int]

#: What the clock alone decides, and what it decides besides the readings: what is not among that is
#: not so, or no longer.
_DUE = frozenset(BY_CODE[code].number for code in ("battery_overdue", "oil_due_soon", "oil_overdue"))
_CLOCK = _DUE | {BY_CODE["meter_silent"].number}


@dataclass(slots=True)
class _Entry:
    decided_us: int
    ended_us: int
    flag: int
    readings: int
    value: float
    limit: float
    origin: int

    @property
    def is_open(self) -> bool:
        return self.ended_us == ONGOING_US


@dataclass(slots=True)
class Logbook:
    """Findings by their keys."""

    _entries: dict[Key, _Entry] = field(default_factory=dict)
    #: Meter -> its keys.
    _of_meter: dict[int, set[Key]] = field(default_factory=dict)

    def unknown(self, episodes: Episodes) -> Mask:
        """Tell which episodes were never heard of, shape (k,)."""
        return np.array([key not in self._entries for key in _keys(episodes)], dtype=np.bool_)

    def heard(self, episodes: Episodes, arrived_us: Mapping[int, int]) -> None:
        """Take in what a run says; new is decided when the meter's last reading arrived."""
        for key, entry in _rows(episodes):
            self._put(key, entry, arrived_us[key[0]])

    def dated(self, episodes: Episodes, arrived_us: NDArray[np.int64]) -> None:
        """Take in when the reading arrived, shape (k,), that says so much of each episode."""
        for key, moment_us in zip(_keys(episodes), arrived_us.tolist(), strict=True):
            entry = self._entries.get(key)
            if entry is not None:
                entry.decided_us = min(entry.decided_us, moment_us)

    def replaced(self, episodes: Episodes, arrived_us: Mapping[int, int]) -> None:
        """Take in a whole new history of the meters in `arrived_us`, as known by then.

        What it no longer holds was taken back: it ends then, if it has not, unless a new finding
        of its kind overlaps it and so carries it on.
        """
        rows = list(_rows(episodes))
        said = {key for key, _ in rows}
        gone = {key for meter in arrived_us for key in self._of_meter.get(meter, ()) if key not in said}
        gone = {key for key in gone if key[1] not in _DUE}
        for key, entry in rows:
            carried = set() if key in self._entries else {k for k in gone if self._overlaps(k, key, entry)}
            decided_us = min([arrived_us[key[0]], *(self._drop(other) for other in carried)])
            gone -= carried
            self._put(key, entry, decided_us)
        for key in gone:
            self._close([key], arrived_us[key[0]])

    def clock(self, episodes: Episodes, from_us: int, until_us: int) -> None:
        """Take in what the clock says at the end of [from, until): all that goes on, and nothing else."""
        said = set()
        for key, entry in _rows(episodes):
            self._put(key, entry, max(key[3], from_us))
            said.add(key)
        self._close({key for key in self._open_by_clock() if key not in said}, until_us)

    def findings(self) -> Findings:
        """Give everything that was ever raised."""
        keys, entries = list(self._entries), list(self._entries.values())
        columns = np.array(keys, dtype=np.int64).reshape(-1, 4)
        episodes = Episodes.build(
            meter_key=columns[:, 0],
            check=columns[:, 1],
            part=columns[:, 2],
            started_us=columns[:, 3],
            ended_us=np.array([e.ended_us for e in entries], dtype=np.int64),
            flag=np.array([e.flag for e in entries], dtype=np.uint8),
            readings=np.array([e.readings for e in entries], dtype=np.int64),
            value=np.array([e.value for e in entries], dtype=np.float64),
            limit=np.array([e.limit for e in entries], dtype=np.float64),
            origin=np.array([e.origin for e in entries], dtype=np.uint8),
        )
        return Findings(episodes, np.array([e.decided_us for e in entries], dtype=np.int64))

    def _put(self, key: Key, entry: _Entry, decided_us: int) -> None:
        known = self._entries.get(key)
        entry.decided_us = decided_us if known is None else known.decided_us
        entry.flag = entry.flag if known is None else max(entry.flag, known.flag)
        self._entries[key] = entry
        self._of_meter.setdefault(key[0], set()).add(key)

    def _overlaps(self, known: Key, key: Key, entry: _Entry) -> bool:
        ended_us = self._entries[known].ended_us
        return known[:3] == key[:3] and known[3] < entry.ended_us and key[3] < ended_us

    def _drop(self, key: Key) -> int:
        """Forget a finding; gives when it was decided."""
        self._of_meter[key[0]].discard(key)
        return self._entries.pop(key).decided_us

    def _close(self, keys: Iterable[Key], now_us: int) -> None:
        for key in keys:
            if self._entries[key].is_open:
                self._entries[key].ended_us = max(now_us, key[3] + 1)

    def _open_by_clock(self) -> list[Key]:
        return [key for key, entry in self._entries.items() if key[1] in _CLOCK and entry.is_open]


def _keys(episodes: Episodes) -> list[Key]:
    columns = (episodes.meter_key, episodes.check, episodes.part, episodes.started_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _rows(episodes: Episodes) -> Iterable[tuple[Key, _Entry]]:
    columns = ("ended_us", "flag", "readings", "value", "limit", "origin")
    values = zip(*(getattr(episodes, name).tolist() for name in columns), strict=True)
    return [(key, _Entry(0, *row)) for key, row in zip(_keys(episodes), values, strict=True)]
