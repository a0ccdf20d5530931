"""What everybody judges: readings with faults of every kind, the same for one seed, and their limits."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

PER_METER = 1_000
_HOUR_US = 3_600_000_000
#: Mean reporting interval; the real one varies by a third either way.
_INTERVAL_US = _HOUR_US // 4
_START_US = 1_700_000_000_000_000
_QMAX_M3H = np.array([16.0, 25, 40, 65, 100, 160, 250, 400])

#: One for all meters: below it SUSPECT and FAIL, m³/h.
LOW_M3H, FAIL_LOW_M3H = 0.0, -1.0
#: A flow within this range over this time stands still: SUSPECT.
FLAT_US, FLAT_TOLERANCE_M3H = 3 * _HOUR_US, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """n readings of m meters, in order of meter and time, and the limits that are each meter's own."""

    #: Shape (n,); the value is NaN where a reading has none.
    meter: NDArray[np.int32]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    #: Shape (m,), m³/h.
    high: NDArray[np.float64]
    fail_high: NDArray[np.float64]
    #: m³/h per second.
    rate: NDArray[np.float64]
    fail_rate: NDArray[np.float64]
    spike: NDArray[np.float64]
    fail_spike: NDArray[np.float64]
    gap_us: NDArray[np.int64]

    @classmethod
    def make(cls, readings: int, seed: int = 0) -> Self:
        """Make 1,000 readings per meter; fewer of the last one where `readings` is no multiple."""
        meters = -(-readings // PER_METER)
        rng = np.random.default_rng(seed)
        qmax = rng.choice(_QMAX_M3H, meters)
        parts = [_meter(rng, q) for q in qmax]
        time_us, value = (np.concatenate(column)[:readings] for column in zip(*parts, strict=True))
        meter = np.repeat(np.arange(meters, dtype=np.int32), PER_METER)[:readings]
        gap_us = rng.choice(np.array([2, 3, 4]) * _HOUR_US // 2, meters)
        return cls(
            meter, time_us, value, qmax, 1.2 * qmax, 1e-3 * qmax, 2e-3 * qmax, 0.8 * qmax, 1.6 * qmax, gap_us
        )

    @property
    def readings_bytes(self) -> int:
        """Size of what is read: each reading's meter, time and value."""
        return self.meter.nbytes + self.time_us.nbytes + self.value.nbytes

    def head(self, readings: int) -> Workload:
        """Give the first readings, with all limits."""
        return Workload(
            self.meter[:readings],
            self.time_us[:readings],
            self.value[:readings],
            *(getattr(self, field.name) for field in fields(self)[3:]),
        )

    def save(self, directory: Path) -> None:
        """Write each column into a file of its own, for other programs."""
        for field in fields(self):
            np.save(directory / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what was saved."""
        return cls(*(np.load(directory / f"{field.name}.npy") for field in fields(cls)))


def _meter(rng: np.random.Generator, qmax: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Make a meter's times and flows: hours of use and of rest, and of each fault a little."""
    n = PER_METER
    step = rng.integers(_INTERVAL_US * 2 // 3, _INTERVAL_US * 4 // 3, n)
    step[_some(rng, 0.003)] += rng.integers(1, 12) * _HOUR_US
    flow = qmax * (0.4 + 0.15 * rng.standard_normal(n)).clip(0.02, 0.95)
    flow[_some(rng, 0.4, in_a_row=20)] = 0.0
    flow[_some(rng, 0.03, in_a_row=40)] = 0.3 * qmax
    flow[_some(rng, 0.002)] *= rng.uniform(1.5, 6)
    flow[_some(rng, 0.001)] = -2.0
    value = np.asarray(np.round(flow, 2), dtype=np.float64)
    value[_some(rng, 0.01)] = np.nan
    return _START_US + np.cumsum(step), value


def _some(rng: np.random.Generator, share: float, in_a_row: int = 1) -> NDArray[np.bool_]:
    """Draw some of a meter's readings, so many in a row."""
    drawn = rng.random(-(-PER_METER // in_a_row)) < share
    return np.repeat(drawn, in_a_row)[:PER_METER]
