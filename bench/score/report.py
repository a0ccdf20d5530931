"""The score as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from analytics.score import (
    CheckScore,
    false_pages_per_1000_meter_weeks,
    undecided_pages_per_1000_meter_weeks,
)
from bench.score.trial import Trial
from firmware_sim.faults import Level

_HEAD = (
    *("check", "labels", "found", "missed", "true", "false", "other", "pages"),
    *("precision", "recall", "weak", "strong", "delay", "p90", "after"),
)


def table(trial: Trial) -> str:
    """Lay the scores out, one check a line."""
    rows = [_row(code, one) for code, one in sorted(trial.scores.items())]
    widths = [max(len(row[at]) for row in [_HEAD, *rows]) for at in range(len(_HEAD))]
    lines = [
        "  ".join(
            text.ljust(w) if not at else text.rjust(w)
            for at, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [_HEAD, *rows]
    ]
    return "\n".join(lines)


def to_json(trials: list[Trial]) -> str:
    """Give the report of the first trial, and what every trial came to."""
    return json.dumps(report(trials[0]), indent=1) + "\n"


def report(trial: Trial) -> dict[str, Any]:
    """Give everything that is known of a trial, fit for JSON; numbers that there are none of are null."""
    return {
        "seed": trial.size.seed,
        "meters": trial.size.meters,
        "days": trial.size.days,
        "readings": trial.readings,
        "meter_weeks": round(trial.meter_weeks, 1),
        "false_pages_per_1000_meter_weeks": round(pages(trial), 3),
        "undecided_pages_per_1000_meter_weeks": round(undecided_pages(trial), 3),
        "checks": {code: _of_check(one) for code, one in sorted(trial.scores.items())},
        "missed": trial.missed(),
        "wrong": trial.wrong(),
    }


def pages(trial: Trial) -> float:
    """Give the false pages of a thousand meters in a week."""
    return false_pages_per_1000_meter_weeks(trial.scores, trial.meter_weeks)


def undecided_pages(trial: Trial) -> float:
    """Give the pages of a thousand meters in a week that telemetry cannot decide."""
    return undecided_pages_per_1000_meter_weeks(trial.scores, trial.meter_weeks)


def _of_check(one: CheckScore) -> dict[str, Any]:
    return {
        "precision": _number(one.precision),
        "recall": _number(one.recall(Level.NOMINAL)),
        "delay_s": _number(one.delay_s()),
        "delay_p90_s": _number(one.delay_s(90)),
        "delay_from_decidable_s": _number(one.delay_from_decidable_s()),
        "recall_weak": _number(one.recall(Level.WEAK)),
        "recall_strong": _number(one.recall(Level.STRONG)),
        "labels": {level.name.lower(): one.labels.get(level, 0) for level in Level},
        "found": {level.name.lower(): one.found.get(level, 0) for level in Level},
        "true": one.true,
        "false": one.false,
        "tolerated": one.tolerated,
        "undecided": one.undecided,
        "false_pages": one.false_pages,
        "undecided_pages": one.undecided_pages,
    }


def _row(code: str, one: CheckScore) -> tuple[str, ...]:
    promised = (Level.NOMINAL, Level.STRONG)
    there, found = (sum(counts.get(level, 0) for level in promised) for counts in (one.labels, one.found))
    counts = (
        there,
        found,
        there - found,
        one.true,
        one.false,
        one.tolerated + one.undecided,
        one.false_pages,
    )
    shares = (one.precision, *(one.recall(level) for level in (Level.NOMINAL, Level.WEAK, Level.STRONG)))
    delays = (one.delay_s(), one.delay_s(90), one.delay_from_decidable_s())
    return (code, *map(str, counts), *map(_share, shares), *map(_time, delays))


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _time(seconds: float) -> str:
    """Give a time in the unit that reads best."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return "-" if math.isnan(seconds) else f"{seconds:.0f} s"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def lines(title: str, texts: Iterable[str]) -> str:
    """Lay out a list under its title; nothing where it is empty."""
    listed = list(texts)
    return "\n".join([f"{title} ({len(listed)}):", *(f"  {text}" for text in listed)]) if listed else ""
