"""`make bench-analytics`: measure everything in one run, print a table, write a report."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.analytics.exceptions import BenchError
from bench.analytics.ours import MEASURED
from bench.analytics.results import PEERS, agreement, check_same, report, table
from bench.analytics.workload import Workload
from bench.parts import absolute, positive

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 1_800
#: Everybody has one thread, whatever library does its sums.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)


def main() -> None:
    """Run from the command line; what failed is said on standard error, with exit code 1."""
    given = _arguments()
    try:
        found = _measure(given)
    except (BenchError, OSError) as error:
        print(f"bench-analytics: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\n{table(found)}")
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def _measure(given: argparse.Namespace) -> dict[str, Any]:
    rates, memory = defaultdict(list), defaultdict(list)
    same: dict[str, dict[str, float]] = {}
    peers = PEERS if given.peers else ()
    with tempfile.TemporaryDirectory(prefix="bench-analytics-") as name:
        directory = Path(name)
        Workload.make(given.n).save(directory)
        print(f"{given.n:,} readings, {given.runs} runs, {os.cpu_count()} cores, one thread each", flush=True)
        for run in range(1, given.runs + 1):
            # Interleaved, so that a machine that gets slower does so for all.
            for contestant in (*MEASURED, *peers):
                measured = _run(contestant, directory, given.peers)
                rates[contestant].append(given.n / measured["seconds"])
                if contestant != "copy" and "extra_memory_ratio" in measured:
                    memory[contestant].append(measured["extra_memory_ratio"])
                print(f"run {run}  {contestant:12}{rates[contestant][-1]:>14,.0f} per second", flush=True)
        linear = _run("linear", directory, None)
        ours = np.load(directory / "flags_ours.npy")
        for peer in peers:
            theirs = np.load(directory / f"flags_{peer}.npy")
            check_same(peer, ours, theirs)
            same[peer] = agreement(ours, theirs)
    return report(given.n, rates, memory, linear, same)


def _run(name: str, directory: Path, peers_python: str | None) -> dict[str, float]:
    """Let one contestant measure itself in a process of its own."""
    module = "bench.analytics.ours"
    python, arguments = sys.executable, [name]
    if name in PEERS and peers_python:
        python, module, arguments = peers_python, f"bench.analytics.peers.five_{name}", []
    command = [python, "-m", module, *arguments, str(directory)]
    done = subprocess.run(  # noqa: PLW1510 (the code is looked at, with what was said)
        command, capture_output=True, cwd=_ROOT, text=True, timeout=_TIMEOUT_S, env=os.environ | _ONE_THREAD
    )
    if done.returncode:
        msg = f"{name} ended with code {done.returncode}:\n{done.stderr[-2000:]}"
        raise BenchError(msg)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-analytics", description=__doc__)
    parser.add_argument("--n", type=positive, default=10_000_000, help="readings")
    parser.add_argument("--runs", type=positive, default=3, help="runs of each contestant")
    parser.add_argument("--peers", type=absolute, metavar="PYTHON", help="Python that has the peers")
    parser.add_argument("--report", type=Path, help="write the medians there as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
