"""`make faults`: break everything in a seeded order, print what came of it, fail on any violation."""

from __future__ import annotations

import argparse
import logging
import random
import secrets
import signal
import sys
import time
from pathlib import Path

from bench.faults.catalogue import choose, missing
from bench.faults.fault import Fault
from bench.faults.mutations import MUTATIONS
from bench.faults.opening import open_stage
from bench.faults.outcome import Outcome
from bench.faults.report import report, table, to_json
from bench.faults.runner import Runner
from bench.faults.stage import Stage
from bench.ingest.exceptions import BenchError
from bench.ingest.scratch import scratch_directory
from bench.parts import positive
from runtime.exceptions import RuntimeFailure
from storage.exceptions import StorageError


def main() -> None:
    """Run from the command line; exit code 1 where anything that was promised did not hold."""
    given = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # An exception, so that everything that was started is stopped on the way out.
        signal.signal(number, lambda *_: sys.exit(1))
    logging.basicConfig(level=logging.ERROR)
    try:
        faults = choose(given.only)
        violations = _run(given, faults)
    except (BenchError, RuntimeFailure, StorageError, OSError, ValueError) as error:
        print(f"faults: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if violations else 0)


def _run(given: argparse.Namespace, faults: list[Fault]) -> int:
    """Run all faults as often as asked for; gives the number of violations."""
    with scratch_directory() as directory, open_stage(directory, given.seed, given.mutation or "") as stage:
        lacking = missing(own_server=stage.server is not None, small_disks=stage.broker_disk.is_small)
        left_out = {
            fault.name: min(need.value for need in fault.needs & lacking)
            for fault in faults
            if fault.needs & lacking
        }
        faults = [fault for fault in faults if fault.name not in left_out]
        print(f"seed {given.seed}, {given.runs} runs of {len(faults)} faults", flush=True)
        for name, why in left_out.items():
            print(f"left out: {name}: {why}", flush=True)
        outcomes = _break_all(stage, faults, given)
        readings, refusals, *_ = stage.oracle.counts()
    found = report(
        outcomes, seed=given.seed, runs=given.runs, stored=readings, refused=refusals, left_out=left_out
    )
    print(f"\nseed {given.seed}\n{table(outcomes)}")
    print(
        f"published {found['published']}, stored {readings}, refused {refusals}, "
        f"violations {len(found['violations'])}"
    )
    if given.report:
        given.report.write_text(to_json(found), "utf-8")
    return len(found["violations"])


def _break_all(stage: Stage, faults: list[Fault], given: argparse.Namespace) -> list[Outcome]:
    runner, outcomes = Runner(stage), []
    for number in range(given.runs):
        order = list(faults)
        if not given.only:
            random.Random(f"{given.seed}:{number}").shuffle(order)
        for fault in order:
            began_s = time.monotonic()
            outcome = runner.run(fault, number)
            outcomes.append(outcome)
            _say(outcome, time.monotonic() - began_s)
    afterwards = runner.judge_all()
    return [*outcomes, afterwards] if afterwards.violations else outcomes


def _say(outcome: Outcome, took_s: float) -> None:
    recovered = "never" if outcome.recovered_s is None else f"{outcome.recovered_s:.1f} s"
    what = "held" if not outcome.violations else f"{len(outcome.violations)} VIOLATIONS"
    print(f"{outcome.name:24} {took_s:5.1f} s, recovered in {recovered}: {what}", flush=True)
    for text in outcome.violations[:5]:
        print(f"    {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--runs", type=positive, default=1, help="how often each fault is tried")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1 << 31), help="same seed, same faults and moments"
    )
    parser.add_argument("--report", type=Path, help="write what was found there as JSON")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", help="these faults, in this order")
    parser.add_argument(
        "--mutation", choices=MUTATIONS, help="make ingest wrong, to see that it is found out"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
