"""How good are the checks? Findings held against what is known to be true: precision, recall, delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analytics.block import US_PER_DAY, US_PER_S
from analytics.episodes import Episodes
from analytics.truth import Findings, Kind, Times, Truth
from fleet.checks import BY_NUMBER, Severity
from fleet.flags import Flag

#: Severities that call somebody at once.
PAGES = frozenset({Severity.MAJOR, Severity.CRITICAL})

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckScore:
    """What one check is worth."""

    #: Level -> faults, and those found.
    labels: Mapping[int, int]
    found: Mapping[int, int]
    #: Findings that are right; that other faults may cause; that nobody can judge; that are wrong.
    true: int
    tolerated: int
    undecided: int
    false: int
    #: Of the wrong ones, those that call somebody.
    false_pages: int
    #: Of those that nobody can judge, those that call somebody.
    undecided_pages: int = 0
    #: Seconds from the fault, and from when it could be told, until it was raised; one for each
    #: fault that was found at a level that counts.
    delays_s: NDArray[np.float64] = field(repr=False)
    delays_from_decidable_s: NDArray[np.float64] = field(repr=False)

    @property
    def precision(self) -> float:
        """Give the share of findings that are right; NaN where there are none."""
        return _share(self.true, self.true + self.false)

    def recall(self, level: int) -> float:
        """Give the share of a level's faults that are found; NaN where there are none."""
        return _share(self.found.get(level, 0), self.labels.get(level, 0))

    def delay_s(self, percentile: float = 50.0) -> float:
        """Give a percentile of the delay from the fault to the finding; NaN where none was found."""
        return _percentile(self.delays_s, percentile)

    def delay_from_decidable_s(self, percentile: float = 50.0) -> float:
        """Give a percentile of the delay from the moment at which the rule can tell."""
        return _percentile(self.delays_from_decidable_s, percentile)


def score(truth: Truth, findings: Findings, levels: tuple[int, ...]) -> dict[str, CheckScore]:
    """Hold findings against the truth, check by check; code -> score.

    A finding [start, end) meets a label of its meter and check if it overlaps [from - slack,
    until + slack). It is right if it meets a FAULT or an EFFECT, else tolerated or undecided if it
    meets such, else wrong. A FAULT is found if any finding meets it; its delay is that of the
    finding that was raised first.

    Parameters
    ----------
    truth
        Labels.
    findings
        Each episode once, with its worst flag; one that was taken back by late data counts too,
        for somebody was told.
    levels
        Levels whose delays count.

    """
    label, finding = _meetings(truth, findings.episodes)
    verdict = _verdict(truth, label, finding, len(findings))
    raised_us = _raised_us(truth, findings, label, finding)
    page = _is_page(findings.episodes)
    scores = {}
    for number in np.union1d(truth.check, findings.episodes.check).tolist():
        mine = findings.episodes.check == number
        own = (truth.check == number) & (truth.kind == Kind.FAULT)
        scores[BY_NUMBER[number].code] = _score(truth, own, raised_us, levels, verdict[mine], page[mine])
    return scores


def false_pages_per_1000_meter_weeks(scores: Mapping[str, CheckScore], meter_weeks: float) -> float:
    """Give how often somebody is called for nothing, per 1,000 meters and week."""
    return 1000.0 * sum(one.false_pages for one in scores.values()) / meter_weeks


def undecided_pages_per_1000_meter_weeks(scores: Mapping[str, CheckScore], meter_weeks: float) -> float:
    """Give how often somebody is called for what telemetry cannot tell, per 1,000 meters and week."""
    return 1000.0 * sum(one.undecided_pages for one in scores.values()) / meter_weeks


def meter_weeks(meters: int, span_us: int) -> float:
    """Give how many meter-weeks a history holds."""
    return meters * span_us / (7 * US_PER_DAY)


def false_findings(truth: Truth, findings: Findings) -> Mask:
    """Tell which findings are wrong, shape (f,)."""
    label, finding = _meetings(truth, findings.episodes)
    wrong: Mask = _verdict(truth, label, finding, len(findings)) == _WRONG
    return wrong


def missed_labels(truth: Truth, findings: Findings) -> Mask:
    """Tell which faults no finding meets, shape (k,)."""
    label, _ = _meetings(truth, findings.episodes)
    missed: Mask = truth.kind == Kind.FAULT
    missed[label] = False
    return missed


_WRONG = max(Kind) + 1
_NEVER_US = int(np.iinfo(np.int64).max)


def _meetings(truth: Truth, episodes: Episodes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair labels with the findings that meet them: two arrays of positions."""
    keys = truth.meter_key.astype(np.int64) * 256 + truth.check
    order = np.argsort(keys, kind="stable")
    wanted = episodes.meter_key.astype(np.int64) * 256 + episodes.check
    first = np.searchsorted(keys[order], wanted, "left")
    counts = np.searchsorted(keys[order], wanted, "right") - first
    finding = np.repeat(np.arange(len(episodes)), counts)
    offset = np.arange(len(finding)) - np.repeat(np.cumsum(counts) - counts, counts)
    label = order[first[finding] + offset]
    starts_us, slack_us = episodes.started_us[finding], truth.slack_us[label]
    # An event ends with the next reading; it is there for a moment at least.
    ends_us = np.maximum(episodes.ended_us[finding], starts_us + 1)
    meets = starts_us < truth.until_us[label] + slack_us
    meets &= ends_us > truth.from_us[label] - slack_us
    return label[meets], finding[meets]


def _verdict(
    truth: Truth, label: NDArray[np.intp], finding: NDArray[np.intp], count: int
) -> NDArray[np.int64]:
    """Give each finding the strongest `Kind` that it meets, or `_WRONG`."""
    verdict = np.full(count, _WRONG, dtype=np.int64)
    np.minimum.at(verdict, finding, truth.kind[label])
    return verdict


def _raised_us(truth: Truth, findings: Findings, label: NDArray[np.intp], finding: NDArray[np.intp]) -> Times:
    """Give each label the moment at which it was first raised; `_NEVER_US` where it was not."""
    raised_us = np.full(len(truth), _NEVER_US, dtype=np.int64)
    np.minimum.at(raised_us, label, findings.decided_us[finding])
    return raised_us


def _is_page(episodes: Episodes) -> Mask:
    pages = np.zeros(len(episodes), dtype=np.bool_)
    for number in np.unique(episodes.check).tolist():
        spec, mine = BY_NUMBER[number], episodes.check == number
        fails = episodes.flag == Flag.FAIL
        pages |= mine & np.where(fails, spec.fail in PAGES, spec.suspect in PAGES)
    return pages


def _score(
    truth: Truth,
    own: Mask,
    raised_us: Times,
    levels: tuple[int, ...],
    verdict: NDArray[np.int64],
    page: Mask,
) -> CheckScore:
    raised = own & (raised_us != _NEVER_US)
    counted = raised & np.isin(truth.level, levels)
    counts = {kind: int((verdict == kind).sum()) for kind in (*Kind, _WRONG)}
    return CheckScore(
        labels=_by_level(truth.level[own]),
        found=_by_level(truth.level[raised]),
        true=counts[Kind.FAULT] + counts[Kind.EFFECT],
        tolerated=counts[Kind.TOLERATED],
        undecided=counts[Kind.UNDECIDED],
        false=counts[_WRONG],
        false_pages=int((page & (verdict == _WRONG)).sum()),
        undecided_pages=int((page & (verdict == Kind.UNDECIDED)).sum()),
        delays_s=(raised_us - truth.from_us)[counted] / US_PER_S,
        delays_from_decidable_s=(raised_us - truth.decidable_us)[counted] / US_PER_S,
    )


def _by_level(level: NDArray[np.int8]) -> dict[int, int]:
    values, counts = np.unique(level, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _percentile(values: NDArray[np.float64], percentile: float) -> float:
    return float(np.percentile(values, percentile)) if len(values) else float("nan")
