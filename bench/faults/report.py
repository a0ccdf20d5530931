"""The table and the JSON; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.faults.outcome import Outcome

_COLUMNS = (
    "times",
    "recovered_s",
    "acked_early",
    "lost",
    "broker_lost",
    "doubled",
    "gaps_open",
    "resent",
    "other",
)
_WIDTH = 12


def by_fault(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Sum up the repetitions of each fault; of seconds and megabytes the worst counts."""
    return {
        name: _sum([item for item in outcomes if item.name == name])
        for name in dict.fromkeys(item.name for item in outcomes)
    }


def report(
    outcomes: Sequence[Outcome],
    *,
    seed: int,
    runs: int,
    stored: int,
    refused: int,
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """Make what REPORT=FILE holds."""
    faults = by_fault(outcomes)
    totals = ("lost", "doubled", "gaps_open", "acked_early", "broker_lost", "published", "resent", "other")
    return {
        "seed": seed,
        "runs": runs,
        "faults": sum(fault["times"] for fault in faults.values()),
        **{name: sum(fault[name] for fault in faults.values()) for name in totals},
        "stored": stored,
        "refused": refused,
        "rss_mb": max((fault["rss_mb"] for fault in faults.values()), default=0.0),
        "violations": [f"{item.name}: {text}" for item in outcomes for text in item.violations],
        "left_out": dict(left_out),
        "by_fault": faults,
    }


def to_json(found: Mapping[str, Any]) -> str:
    """Write a report as JSON."""
    return json.dumps(found, indent=2) + "\n"


def table(outcomes: Sequence[Outcome]) -> str:
    """Draw one line per fault."""
    faults = by_fault(outcomes)
    longest = max((len(name) for name in faults), default=0)
    head = " " * longest + "".join(f"{name:>{_WIDTH}}" for name in _COLUMNS)
    return "\n".join(
        [
            head,
            *(f"{name:{longest}}" + "".join(_cell(row[c]) for c in _COLUMNS) for name, row in faults.items()),
        ]
    )


def _cell(value: Any) -> str:
    text = "never" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
    return f"{text:>{_WIDTH}}"


def _sum(items: Sequence[Outcome]) -> dict[str, Any]:
    seconds = [item.recovered_s for item in items]
    return {
        "times": len(items),
        "recovered_s": None if None in seconds else round(max(s for s in seconds if s is not None), 2),
        **{
            name: sum(len(getattr(item, name)) for item in items)
            for name in ("acked_early", "lost", "broker_lost", "doubled")
        },
        "gaps_open": sum(item.gaps_open for item in items),
        "resent": sum(item.resent for item in items),
        "other": sum(len(item.misjudged) + len(item.problems) for item in items),
        "published": sum(item.published for item in items),
        "rss_mb": round(max(item.rss_mb for item in items), 1),
    }
