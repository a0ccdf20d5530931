"""Findings: episodes as alarms see them, gathered by meter and check."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alerts.alarms.model import RANK
from alerts.arrivals import Arrivals
from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_NUMBER, Severity
from fleet.flags import Flag
from fleet.policies import Origin
from fleet.readings import ABSENT

#: Number of the meter and code of the check.
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Found:
    """One episode, or several of a meter's parts that overlap."""

    start_us: int
    end_us: int
    severity: Severity
    #: Where the limit comes from.
    origin: Origin
    readings: int
    value: float
    limit: float
    part: int
    #: When the readings arrived that decided on beginning, worst flag and end, and the newest one;
    #: ABSENT where this evaluation does not know.
    began_arrived_us: int
    failed_arrived_us: int
    ended_arrived_us: int
    newest_arrived_us: int

    @property
    def ongoing(self) -> bool:
        """Whether it goes on at the meter's last reading."""
        return self.end_us == ONGOING_US

    @property
    def seen_us(self) -> int:
        """When its figures moved; all that it says of an ongoing one is its onset."""
        return self.start_us if self.ongoing else self.end_us

    @property
    def known_us(self) -> int | None:
        """When its beginning was known at the earliest."""
        return first_known(self.began_arrived_us, self.newest_arrived_us)


def first_known(*arrived_us: int) -> int | None:
    """Give the first of some arrivals that is known; None where none is."""
    return next((time_us for time_us in arrived_us if time_us != ABSENT), None)


def group_episodes(episodes: Episodes, arrivals: Arrivals | None = None) -> dict[Key, list[Found]]:
    """Gather episodes by meter and check, in the order of their onsets, without overlap."""
    groups: dict[Key, list[Found]] = {}
    when = arrivals or Arrivals.unknown(len(episodes))
    columns = (
        episodes.meter_key,
        episodes.check,
        episodes.flag,
        episodes.started_us,
        episodes.ended_us,
        episodes.origin,
        episodes.readings,
        episodes.value,
        episodes.limit,
        episodes.part,
        when.began_us,
        when.failed_us,
        when.ended_us,
        when.newest_us,
    )
    rows = zip(*(c.tolist() for c in columns), strict=True)
    for meter, check, flag, start, end, origin, *figures in rows:
        spec = BY_NUMBER[check]
        severity = spec.fail if flag == Flag.FAIL else spec.suspect
        # One reading may stand for a whole episode: it still takes time, or nothing could overlap it.
        item = Found(start, max(end, start + 1), severity, Origin(origin), *figures)
        groups.setdefault((meter, spec.code), []).append(item)
    return {key: _merge_overlapping(items) for key, items in groups.items()}


def _merge_overlapping(items: list[Found]) -> list[Found]:
    """Join episodes of several parts (two batteries) that overlap: one alarm stands for both."""
    items.sort(key=lambda item: (item.start_us, item.part))
    merged = items[:1]
    for item in items[1:]:
        last = merged[-1]
        if item.start_us >= last.end_us:
            merged.append(item)
            continue
        # A run that was called good for a while and then bad again, as from its beginning.
        again = (item.start_us, item.part) == (last.start_us, last.part)
        worse = item if again or RANK[item.severity] < RANK[last.severity] else last
        later = item if item.end_us > last.end_us else last
        merged[-1] = replace(
            worse,
            severity=min(item.severity, last.severity, key=RANK.__getitem__),
            start_us=last.start_us,
            end_us=later.end_us,
            began_arrived_us=last.began_arrived_us,
            ended_arrived_us=later.ended_arrived_us,
        )
    return merged
