"""`make bench-ingest`: measure everything in one run, print a table, write a report."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from bench.ingest import others, ours, peers
from bench.ingest.exceptions import BenchError
from bench.ingest.results import report, table, to_json
from bench.ingest.scratch import scratch_databases, scratch_directory
from bench.ingest.stage import Measured, Stage
from bench.parts import absolute, positive
from runtime.exceptions import RuntimeFailure
from storage.exceptions import StorageError

Contestant = Callable[[Stage], Measured]

_ALWAYS: dict[str, Contestant] = {
    "wire": others.wire,
    "paho": others.paho,
    "usual": others.usual,
    "meterwarden": ours.meterwarden,
    "arrays": ours.arrays,
    "bare_copy": ours.bare_copy,
}
_PEERS: dict[str, Contestant] = {"mq_bridge": peers.mq_bridge, "pathway": peers.pathway}
#: Whose memory is reported, and as what.
_MEMORY = {"meterwarden": "rss_mb", "arrays": "rss_arrays_mb"}


class Results:
    """Raw values so far: rates per second and peaks of memory in MB."""

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = defaultdict(list)
        self.memory_mb: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, measured: Measured) -> None:
        """Keep one run of a contestant."""
        self.rates[name].append(measured.per_s)
        if measured.rss_mb is not None:
            self.memory_mb[_MEMORY[name]].append(measured.rss_mb)


def main() -> None:
    """Run from the command line; what failed is said on standard error, with exit code 1."""
    given = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # An exception, so that everything that was started is stopped on the way out.
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        results = _measure(given)
    except (BenchError, RuntimeFailure, StorageError, OSError) as error:
        print(f"bench-ingest: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\n{table(results.rates, results.memory_mb)}")
    if given.report:
        given.report.write_text(
            to_json(report(given.n, given.mqtt, results.rates, results.memory_mb)), "utf-8"
        )


def _measure(given: argparse.Namespace) -> Results:
    results = Results()
    with scratch_directory() as directory, scratch_databases(directory) as scratch:
        stage = Stage(
            messages=given.n, scratch=scratch, directory=directory, mqtt=given.mqtt, peers_python=given.peers
        )
        contestants = _ALWAYS | (_PEERS if given.peers else {})
        print(
            f"{given.n:,} messages, {given.runs} runs, MQTT {given.mqtt}, {os.cpu_count()} cores", flush=True
        )
        for run in range(1, given.runs + 1):
            # Interleaved, so that a machine that gets slower does so for all.
            for name, contestant in contestants.items():
                measured = contestant(stage)
                results.add(name, measured)
                print(f"run {run}  {name:12}{measured.per_s:>12,.0f} per second", flush=True)
        if given.backlog:
            measured = ours.backlog(stage, given.backlog)
            results.memory_mb["rss_backlog_mb"].append(measured.rss_mb or 0.0)
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-ingest", description=__doc__)
    parser.add_argument("--n", type=positive, default=200_000, help="messages of each run")
    parser.add_argument("--runs", type=positive, default=3, help="runs of each contestant")
    parser.add_argument(
        "--backlog", type=positive, help="also measure memory at a backlog of so many messages"
    )
    parser.add_argument("--peers", type=absolute, metavar="PYTHON", help="Python that has the peers")
    parser.add_argument(
        "--mqtt", type=int, choices=(3, 5), default=5, help="version that all but the peers speak"
    )
    parser.add_argument("--report", type=Path, help="write the medians there as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
