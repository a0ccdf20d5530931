"""`make score`: print what each check is worth, against a simulated fleet whose faults are known."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.parts import positive
from bench.score.report import lines, pages, report, table, to_json, undecided_pages
from bench.score.trial import Size, Trial, run

#: The shortest history in which every kind of fault finds its place.
_DAYS = 63.0
_METERS = 1200


def main() -> None:
    """Run from the command line."""
    given = _arguments()
    began_s = time.monotonic()
    try:
        trial = run(Size(meters=given.meters, days=given.days, seed=given.seed))
    except ValueError as error:
        print(f"score: {error}", file=sys.stderr)
        sys.exit(2)
    _say(trial, time.monotonic() - began_s)
    if given.report:
        given.report.write_text(to_json([trial]), "utf-8")


def _say(trial: Trial, took_s: float) -> None:
    found = report(trial)
    print(
        f"seed {trial.size.seed}: {trial.size.meters} meters, {trial.size.days:g} days, "
        f"{trial.meter_weeks:,.0f} meter-weeks, {trial.readings:,} readings, {took_s:.0f} s"
    )
    print(table(trial))
    print(f"false pages per 1,000 meters and week: {pages(trial):.2f}")
    print(f"pages that telemetry cannot decide, the same: {undecided_pages(trial):.2f}")
    for title, texts in (("missed", found["missed"]), ("wrong", found["wrong"])):
        print(lines(title, texts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="score", description=__doc__)
    parser.add_argument("--meters", type=positive, default=_METERS)
    parser.add_argument("--days", type=float, default=_DAYS, help="length of the history")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write what was found there as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
