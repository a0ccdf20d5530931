"""From raw values to medians, ratios, a table and a report; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

#: What each contestant does, in the order of the table.
CONTESTANTS = {
    "wire": "mosquitto_sub, to nowhere",
    "paho": "paho, counting",
    "usual": "paho, json, execute_values per 1,000",
    "meterwarden": "meterwarden ingest, one reading per message",
    "mq_bridge": "mq-bridge, lossless settings",
    "pathway": "Pathway, lossless settings",
    "arrays": "meterwarden ingest, 96 to a message; readings",
    "bare_copy": "a bare COPY of the same readings; rows",
}
#: Not in messages per second, so nothing to hold against the wire.
_READINGS = {"arrays", "bare_copy"}
#: `meterwarden` is to reach so many times what these do.
GOALS = {"wire": 0.5, "paho": 3.0, "usual": 7.0, "mq_bridge": 1.0, "pathway": 1.0}
#: `arrays` is to reach this, readings per second, or half of `bare_copy`, whichever is lower.
ARRAYS_PER_S, ARRAYS_OF_BARE_COPY = 150_000.0, 0.5

Raw = Mapping[str, Sequence[float]]


def medians(raw: Raw) -> dict[str, float]:
    """Give the median of each contestant's runs."""
    return {name: median(values) for name, values in raw.items() if values}


def ratios(of: Mapping[str, float]) -> dict[str, float]:
    """Give how many times what each other contestant does `meterwarden` does."""
    return {name: of["meterwarden"] / of[name] for name in GOALS if name in of}


def arrays_goal(of: Mapping[str, float]) -> float:
    """Give what `arrays` is to reach, readings per second."""
    return min(ARRAYS_PER_S, ARRAYS_OF_BARE_COPY * of["bare_copy"])


def report(messages: int, mqtt: int, raw: Raw, memory_mb: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Build what REPORT=FILE gets: medians per second, highest peaks of memory, and every raw value."""
    middle = medians(raw)
    return {
        "n": messages,
        "mqtt": mqtt,
        **{name: round(value) for name, value in middle.items()},
        **{name: round(max(values), 1) for name, values in memory_mb.items() if values},
        "ratios": {name: round(value, 3) for name, value in ratios(middle).items()},
        "runs": {
            **{name: [round(value) for value in values] for name, values in raw.items()},
            **{name: [round(value, 1) for value in values] for name, values in memory_mb.items() if values},
        },
    }


def table(raw: Raw, memory_mb: Mapping[str, Sequence[float]]) -> str:
    """Lay the medians out beside the wire, then the ratios and the memory beside what was to be reached."""
    middle = medians(raw)
    lines = [f"{'':58}{'per second':>12}{'of the wire':>13}"]
    for name, what in CONTESTANTS.items():
        if name in middle:
            share = f"{middle[name] / middle['wire']:.2f}" if name not in _READINGS else ""
            lines.append(f"{name:12}{what:46}{middle[name]:>12,.0f}{share:>13}".rstrip())
    lines.append("")
    for name, ratio in ratios(middle).items():
        lines.append(_goal(f"meterwarden / {name}", f"{ratio:.2f}", f"{GOALS[name]:g}", ratio >= GOALS[name]))
    goal = arrays_goal(middle)
    lines.append(_goal("arrays", f"{middle['arrays']:,.0f}", f"{goal:,.0f}", middle["arrays"] >= goal))
    for name, values in memory_mb.items():
        lines += [f"{name:28}{max(values):>12.1f}   peak resident memory, MB"] if values else []
    return "\n".join(lines)


def to_json(found: Mapping[str, Any]) -> str:
    """Give the report as text."""
    return json.dumps(found, indent=2) + "\n"


def _goal(what: str, is_: str, wanted: str, reached: bool) -> str:  # noqa: FBT001 (private, one caller's shape)
    return f"{what:28}{is_:>12}   to reach: {wanted:>8}   {'reached' if reached else 'NOT REACHED'}"
