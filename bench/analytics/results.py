"""From raw values to medians, ratios, a table and a report; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.kernels.block import CHECKS, FLAT
from bench.analytics.exceptions import BenchError
from fleet.flags import Flag

#: What each contestant does, in the order of the table.
CONTESTANTS = {
    "copy": "one NumPy copy of the same bytes",
    "five_checks": "five checks, Meterwarden",
    "in_blocks": "five checks, Meterwarden, flags let go by the block",
    "battery": "every per-reading check of the engine",
    "polars": "five checks, Polars",
    "duckdb": "five checks, DuckDB",
    "pandas": "five checks, pandas",
    "ioos_qc": "five checks, ioos_qc, meter by meter",
}
PEERS = ("polars", "duckdb", "pandas", "ioos_qc")
#: What is to be reached: of the fastest peer, of the copy, readings per second, share of the input.
OF_PEER, OF_COPY, BATTERY_PER_S, EXTRA_MEMORY = 3.0, 0.1, 3e6, 0.25
#: Readings that a peer's simpler flat line may flag beyond ours.
_FLAT_TOO_MANY = 0.05

Raw = Mapping[str, Sequence[float]]


def medians(raw: Raw) -> dict[str, float]:
    """Give the median of each contestant's runs."""
    return {name: median(values) for name, values in raw.items() if values}


def ratios(rates: Mapping[str, float]) -> dict[str, float]:
    """Hold the five checks against the copy and the fastest peer."""
    found = {"five_checks / copy": rates["five_checks"] / rates["copy"]}
    peers = [name for name in PEERS if name in rates]
    if peers:
        fastest = max(peers, key=lambda name: rates[name])
        found |= {f"five_checks / {name}": rates["five_checks"] / rates[name] for name in peers}
        found["five_checks / fastest peer"] = rates["five_checks"] / rates[fastest]
    return found


def agreement(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> dict[str, float]:
    """Give the share of readings that have the same flag, by check."""
    return {check: float(np.mean(ours[at] == theirs[at])) for at, check in enumerate(CHECKS)}


def check_same(name: str, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> None:
    """See that a peer has done the same work.

    Its flat line needs no sample before its window, so it may flag more, and never less. ioos_qc has rules of
    its own beside missing values and for time, and is not held to ours.

    Raises BenchError where it has not.
    """
    if name == "ioos_qc":
        return
    for at, check in enumerate(CHECKS):
        other = ours[at] != theirs[at]
        if at == FLAT:
            less = np.count_nonzero(other & (ours[at] != Flag.GOOD))
            bad = less > 0 or np.mean(other) > _FLAT_TOO_MANY
        else:
            bad = bool(other.any())
        if bad:
            msg = f"{name} flags {np.count_nonzero(other):,} readings otherwise in {check}"
            raise BenchError(msg)


def report(
    readings: int,
    rates: Raw,
    memory: Mapping[str, Sequence[float]],
    linear: Mapping[str, float],
    same: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Build what REPORT=FILE gets: medians, readings per second, and everything that was measured."""
    middle = medians(rates)
    extra = {name: round(max(values), 4) for name, values in memory.items() if values}
    return {
        "n": readings,
        **{name: round(value) for name, value in middle.items()},
        "extra_memory_ratio": max(extra[name] for name in ("in_blocks", "battery") if name in extra),
        "extra_memory": extra,
        "ratios": {name: round(value, 3) for name, value in ratios(middle).items()},
        "ns_per_reading": {size: round(value, 2) for size, value in linear.items()},
        "same_flags": {name: {c: round(v, 6) for c, v in by.items()} for name, by in same.items()},
        "runs": {name: [round(value) for value in values] for name, values in rates.items()},
    }


def table(found: Mapping[str, Any]) -> str:
    """Lay a report out, beside what was to be reached."""
    lines = [f"{'':64}{'readings/s':>14}{'of the copy':>13}"]
    for name, what in CONTESTANTS.items():
        if name in found:
            lines.append(f"{name:12}{what:52}{found[name]:>14,}{found[name] / found['copy']:>13.3f}")
    lines.append("")
    goals = {"five_checks / copy": OF_COPY, "five_checks / fastest peer": OF_PEER}
    for name, ratio in found["ratios"].items():
        lines.append(_goal(name, ratio, goals[name]) if name in goals else f"{name:28}{ratio:>12.2f}")
    lines.append(_goal("battery, M readings/s", found["battery"] / 1e6, BATTERY_PER_S / 1e6))
    for name, extra in found["extra_memory"].items():
        said = f"memory beyond input, {name}"
        lines.append(f"{said:36}{extra:.3f}   to stay below: {EXTRA_MEMORY:g}")
    sizes = ", ".join(f"{int(size):,}: {value:.1f}" for size, value in found["ns_per_reading"].items())
    return "\n".join([*lines, f"five checks, ns per reading at     {sizes}"])


def _goal(what: str, is_: float, wanted: float) -> str:
    reached = "reached" if is_ >= wanted else "NOT REACHED"
    return f"{what:28}{is_:>12.2f}   to reach: {wanted:>6g}   {reached}"
