"""What a changed policy would have found, beside what the present one finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analytics.episodes import ONGOING_US, Episodes
from fleet.checks import BY_NUMBER, Severity
from fleet.columns import Columns
from fleet.flags import Flag


class Outcome(IntEnum):
    """What becomes of a finding when the policy changes."""

    #: Found by both, as severe.
    KEPT = 0
    #: Found under the changed policy only.
    NEW = 1
    #: Found under the present policy only.
    GONE = 2
    #: Found by both, more severe under the changed policy.
    WORSE = 3
    #: Found by both, less severe under the changed policy.
    MILDER = 4

    @property
    def word(self) -> str:
        """Say it in a word, for files and the API."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison(Columns):
    """k findings with what becomes of each, as arrays of shape (k,), sorted by meter, start and check."""

    #: As the changed policy finds them; those that are gone as the present one does.
    episodes: Episodes
    #: As `Outcome`.
    outcome: NDArray[np.uint8]
    #: The earliest onset under either policy, microseconds since 1970; the latest likewise.
    first_onset_us: NDArray[np.int64]
    last_onset_us: NDArray[np.int64]

    def begun_in(self, from_us: int, to_us: int) -> Self:
        """Select what began in [from, to) under at least one of the two policies."""
        return self.take((self.last_onset_us >= from_us) & (self.first_onset_us < to_us))

    @classmethod
    def empty(cls) -> Self:
        """Make no findings."""
        times = np.empty(0, dtype=np.int64)
        return cls(
            episodes=Episodes.empty(),
            outcome=times.astype(np.uint8),
            first_onset_us=times,
            last_onset_us=times,
        )


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """One check's findings, counted by what becomes of them."""

    kept: int
    new: int
    gone: int
    worse: int
    milder: int
    #: Meters at which anything but `kept` happens to a finding.
    meters_changed: int


def compare(before: Episodes, after: Episodes) -> Comparison:
    """Say what becomes of each finding when the policy changes.

    A finding under the changed policy that overlaps one of the same meter, check and part under
    the present policy (half-open in time, at least a microsecond long) is the same finding: kept,
    or worse or milder by its severity against the worst of those that it overlaps. One that
    overlaps none is new, and one of the present policy that none overlaps is gone. So two findings
    that a changed limit joins are one kept finding, and one that it splits is two.

    Parameters
    ----------
    before, after
        Findings under the present and under the changed policy, in any order; those of one meter,
        check and part do not overlap each other (`history.joined`).
    """
    order_b, order_a = _order(before), _order(after)
    before, after = before.take(order_b), after.take(order_a)
    first, stop = _overlapping(before, after)
    matched = stop > first
    outcome = np.where(matched, Outcome.KEPT, Outcome.NEW).astype(np.uint8)
    rank_b, rank_a = _rank(before), _rank(after)
    worst_before = _over_runs(np.minimum, rank_b, first[matched], stop[matched])
    outcome[matched] += np.where(rank_a[matched] < worst_before, np.uint8(Outcome.WORSE), np.uint8(0))
    outcome[matched] += np.where(rank_a[matched] > worst_before, np.uint8(Outcome.MILDER), np.uint8(0))
    first_onset_us, last_onset_us = after.started_us.copy(), after.started_us.copy()
    onset_us = _over_runs(np.minimum, before.started_us, first[matched], stop[matched])
    first_onset_us[matched] = np.minimum(first_onset_us[matched], onset_us)
    last_onset_us[matched] = np.maximum(last_onset_us[matched], onset_us)
    gone = before.take(~_covered(len(before), first[matched], stop[matched]))
    whole = Comparison(
        episodes=Episodes.concatenate([after, gone]),
        outcome=np.concatenate([outcome, np.full(len(gone), Outcome.GONE, np.uint8)]),
        first_onset_us=np.concatenate([first_onset_us, gone.started_us]),
        last_onset_us=np.concatenate([last_onset_us, gone.started_us]),
    )
    e = whole.episodes
    return whole.take(np.lexsort((whole.outcome, e.part, e.check, e.started_us, e.meter_key)))


def count_by_check(comparison: Comparison) -> dict[str, CheckCounts]:
    """Count findings by check, in the order of the catalogue; checks without any are left out."""
    e = comparison.episodes
    found: dict[str, CheckCounts] = {}
    for number in np.unique(e.check).tolist():
        mine = e.check == number
        sums = np.bincount(comparison.outcome[mine], minlength=len(Outcome)).tolist()
        counts = {outcome.word: count for outcome, count in zip(Outcome, sums, strict=True)}
        changed = mine & (comparison.outcome != Outcome.KEPT)
        found[BY_NUMBER[number].code] = CheckCounts(
            **counts, meters_changed=len(np.unique(e.meter_key[changed]))
        )
    return found


def severity_of(check: int, flag: int) -> Severity:
    """Look up how severe a finding is, by the number of its check and its worst flag."""
    spec = BY_NUMBER[check]
    return spec.fail if flag == Flag.FAIL else spec.suspect


def _order(episodes: Episodes) -> NDArray[np.intp]:
    return np.lexsort((episodes.started_us, episodes.part, episodes.check, episodes.meter_key))


def _overlapping(before: Episodes, after: Episodes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find for each later finding the run [first, stop) of sorted earlier ones that it overlaps."""
    n = len(before)
    both = Episodes.concatenate([before, after])
    number = (both.meter_key.astype(np.int64) << 16) | (both.check.astype(np.int64) << 8) | both.part
    _, kind = np.unique(number, return_inverse=True)
    ended_us = np.maximum(both.ended_us, np.minimum(both.started_us, ONGOING_US - 1) + 1)
    times, rank = np.unique(np.concatenate([both.started_us, ended_us]), return_inverse=True)
    # Ranks stand in for the times, lifted from kind to kind, so that one search serves all.
    lift = kind * (len(times) + 1)
    start, end = lift + rank[: len(both)], lift + rank[len(both) :]
    first = np.searchsorted(end[:n], start[n:], side="right")
    stop = np.searchsorted(start[:n], end[n:], side="left")
    return first, np.maximum(first, stop)


def _rank(episodes: Episodes) -> NDArray[np.int64]:
    """Give each finding's severity as a number, the worst first."""
    order = {severity: at for at, severity in enumerate(Severity)}
    ranks = np.zeros((256, 2), dtype=np.int64)
    for number, spec in BY_NUMBER.items():
        ranks[number] = order[spec.suspect], order[spec.fail]
    rank: NDArray[np.int64] = ranks[episodes.check, (episodes.flag == Flag.FAIL).astype(np.intp)]
    return rank


def _over_runs(
    worse: np.ufunc, values: NDArray[np.int64], first: NDArray[np.intp], stop: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Reduce `values[first:stop]` for each run; no run is empty."""
    if len(first) == 0:
        return np.empty(0, dtype=np.int64)
    # One value more, for a run may end where the values do.
    borders = np.stack([first, stop], axis=1).reshape(-1)
    reduced: NDArray[np.int64] = worse.reduceat(np.append(values, values[-1:]), borders)[::2]
    return reduced


def _covered(n: int, first: NDArray[np.intp], stop: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mark what at least one of the runs [first, stop) covers, shape (n,)."""
    steps = np.zeros(n + 1, dtype=np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, stop, -1)
    covered: NDArray[np.bool_] = np.cumsum(steps[:n]) > 0
    return covered
