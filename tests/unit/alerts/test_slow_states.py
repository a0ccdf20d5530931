"""Which states of the slow checks say more than nothing."""

from __future__ import annotations

from alerts.slow.states import worth_keeping
from analytics.usage.episodes import no_slow_open


def test_what_is_open_is_kept_and_an_end_that_an_onset_may_reach() -> None:
    states = no_slow_open(3)
    states["night_flow"]["started_us"][1] = 5
    states["battery2_forecast"]["ended_us"][2] = 5
    assert worth_keeping(states).tolist() == [False, True, True]
