"""`make bench-engine`: how many readings a second, and how long from a commit to its alarm."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.engine.fleet import build_fleet
from bench.engine.measure import Drained, drain, latencies_s
from bench.ingest.scratch import empty_database, scratch_directory
from bench.parts import positive
from runtime.exceptions import RuntimeFailure
from storage.exceptions import StorageError

_BUSY_PER_S, _CALM_PER_S = 20_000, 2_000
_LATE_SHARE = 0.01


def main() -> None:
    """Run from the command line; what failed is said on standard error, with exit code 1."""
    given = _arguments()
    try:
        found = _measure(given.meters, given.seconds)
    except (RuntimeFailure, StorageError, OSError) as error:
        print(f"bench-engine: {error}", file=sys.stderr)
        sys.exit(1)
    for name, value in found.items():
        print(f"{name:28}{value:>14,.3f}")
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def _measure(meters: int, seconds: int) -> dict[str, float]:
    with scratch_directory() as directory, empty_database(directory) as database:
        start = datetime.now(UTC) - timedelta(minutes=20)
        fleet = build_fleet(database, meters, start)
        print(f"{meters:,} meters have carried state", flush=True)
        runs = [drain(fleet, _BUSY_PER_S, seconds, 1)]
        later = fleet.at(start + timedelta(minutes=5))
        runs.append(drain(later, _BUSY_PER_S, seconds, 1000, _LATE_SHARE))
        waited_s = latencies_s(fleet, _CALM_PER_S, 3 * seconds, 2000)
    return figures(meters, runs, waited_s)


def figures(meters: int, runs: list[Drained], waited_s: list[float]) -> dict[str, float]:
    """Make of two drained backlogs and of the seconds that alarms waited what the report says."""
    in_order, late = runs
    return {
        "meters": meters,
        "readings_per_s": in_order.per_s,
        "engine_cpu_share": in_order.engine_cpu_s / in_order.wall_s,
        "readings_per_s_with_late": late.per_s,
        "late_share": _LATE_SHARE,
        "alarms_timed": len(waited_s),
        "median_commit_to_alarm_s": statistics.median(waited_s),
        "p99_commit_to_alarm_s": float(np.quantile(waited_s, 0.99)),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-engine", description=__doc__)
    parser.add_argument("--meters", type=positive, default=100_000, help="meters with carried state")
    parser.add_argument("--seconds", type=positive, default=20, help="length of each backlog")
    parser.add_argument("--report", type=Path, help="write the figures there as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
