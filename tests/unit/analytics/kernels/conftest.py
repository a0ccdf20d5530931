"""Hand-made series, spelled flags, and a slow second opinion for every kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analytics.kernels.block import CHECKS, Limits
from analytics.kernels.columns import five_checks

MINUTE_US = 60_000_000
START_US = 1_699_999_200_000_000
LETTERS = {1: "g", 2: "u", 3: "S", 4: "F", 9: "-"}


def spell(flags: Any) -> str:
    """Spell flags: g good, u unknown, S suspect, F fail, - missing."""
    return "".join(LETTERS[flag] for flag in np.asarray(flags).tolist())


@pytest.fixture
def judge() -> Callable[..., dict[str, str]]:
    """Run the five checks on one meter; `minutes` are the readings' times, one a minute by default."""

    def run(value: list[float], minutes: list[float] | None = None, **limits: Any) -> dict[str, str]:
        times = np.arange(len(value)) if minutes is None else np.array(minutes)
        time_us = START_US + np.round(times * MINUTE_US).astype(np.int64)
        row = np.zeros(len(value), dtype=np.int32)
        flags = five_checks(row, time_us, np.array(value, dtype=float), Limits(**limits), 1)
        return dict(zip(CHECKS, map(spell, flags), strict=True))

    return run
