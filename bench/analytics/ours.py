"""What is ours, as a program: `python -m bench.analytics.ours NAME DIRECTORY` measures one and prints JSON.

Each measures in a process of its own. The time is the processor's, of the process, so that a busy machine
counts little: the median of some repetitions, after a small warm-up. Memory is the kernel's count of
the process: the peak of its resident memory (VmHWM, set back before) less what was resident
with the input loaded and touched.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from analytics.episodes import Episodes
from analytics.kernels.block import CHECKS, Limits
from analytics.kernels.columns import Carried, five_checks, judge_in_blocks
from analytics.pipeline import READING_CHECKS, evaluate_blocks, initial_state
from bench.analytics.battery import battery_of
from bench.analytics.workload import FAIL_LOW_M3H, FLAT_TOLERANCE_M3H, FLAT_US, LOW_M3H, Workload
from fleet.flags import Flag

_WARM_UP = 20_000
#: Readings whose time per reading is measured beside that of all.
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)

Prepared = tuple[Callable[[], Any], int]


def limits_of(workload: Workload) -> Limits:
    """Put the workload's limits as the kernels take them."""
    return Limits(
        low=LOW_M3H,
        fail_low=FAIL_LOW_M3H,
        high=workload.high,
        fail_high=workload.fail_high,
        rate_per_s=workload.rate,
        fail_rate_per_s=workload.fail_rate,
        spike=workload.spike,
        fail_spike=workload.fail_spike,
        flat_us=FLAT_US,
        flat_tolerance=FLAT_TOLERANCE_M3H,
        gap_us=workload.gap_us.astype(np.float64),
    )


def copy(workload: Workload) -> Prepared:
    """Copy the bytes that the five checks read."""

    def run() -> list[Any]:
        return [workload.meter.copy(), workload.time_us.copy(), workload.value.copy()]

    return run, workload.readings_bytes


def kept(workload: Workload) -> Prepared:
    """Run the five checks and keep all flags, as the peers do."""
    limits = limits_of(workload)

    def run() -> Any:
        meters = len(workload.high)
        return five_checks(workload.meter, workload.time_us, workload.value, limits, meters)

    return run, workload.readings_bytes


def in_blocks(workload: Workload) -> Prepared:
    """Run the five checks and let the flags of each block go, once those that are not GOOD were counted."""
    limits = limits_of(workload)

    def run() -> Any:
        count = np.zeros(len(CHECKS), dtype=np.int64)

        def sink(judged: Any) -> None:
            count[:] += np.count_nonzero(judged.flags != Flag.GOOD, axis=1)

        carried = Carried.nothing(len(workload.high))
        judge_in_blocks(workload.meter, workload.time_us, workload.value, limits, carried, sink)
        return count

    return run, workload.readings_bytes


def battery(workload: Workload) -> Prepared:
    """Run every per-reading check of the engine on readings with all columns, block by block.

    Episodes and carried state are kept; the flags of a block are let go once those that are not GOOD were
    counted, check by check.
    """
    readings, meters = battery_of(workload)
    size = sum(getattr(readings, field.name).nbytes for field in fields(readings))

    def run() -> Any:
        count = dict.fromkeys(READING_CHECKS, 0)
        state, episodes = initial_state(len(meters)), []
        for _, verdict in evaluate_blocks(readings, meters, state):
            episodes += verdict.episodes
            for code, flags in verdict.flags.items():
                count[code] += int(np.count_nonzero(flags != Flag.GOOD))
        return count, Episodes.concatenate(episodes), state

    return run, size


#: Name -> what it measures, and how often.
MEASURED: dict[str, tuple[Callable[[Workload], Prepared], int]] = {
    "copy": (copy, 5),
    "five_checks": (kept, 5),
    "in_blocks": (in_blocks, 3),
    "battery": (battery, 1),
}


def measure(run: Callable[[], Any], input_bytes: int, repetitions: int) -> dict[str, float]:
    """Take time and peak of memory."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    before_bytes = _status_bytes("VmRSS")
    seconds = []
    for _ in range(repetitions):
        began = time.process_time()
        found = run()
        seconds.append(time.process_time() - began)
        del found
    extra = (_status_bytes("VmHWM") - before_bytes) / input_bytes
    return {"seconds": median(seconds), "extra_memory_ratio": extra}


def linear(workload: Workload) -> dict[str, float]:
    """Measure the time per reading, ns, of the five checks on the first so many readings."""
    found = {}
    for size in (size for size in SIZES if size <= len(workload.meter)):
        run, _ = kept(workload.head(size))
        taken = measure(run, 1, max(3, min(200, 10**7 // size)))
        found[str(size)] = 1e9 * taken["seconds"] / size
    return found


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    """Measure what the command line names."""
    name, directory = sys.argv[1], Path(sys.argv[2])
    workload = Workload.load(directory)
    if name == "linear":
        print(json.dumps(linear(workload)))
        return
    prepare, repetitions = MEASURED[name]
    prepare(workload.head(_WARM_UP))[0]()
    run, size = prepare(workload)
    print(json.dumps(measure(run, size, repetitions)))
    if name == "five_checks":
        np.save(directory / "flags_ours.npy", run())


if __name__ == "__main__":
    main()
