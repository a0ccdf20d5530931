from datetime import UTC, datetime, timedelta

import pytest

from alerts.path_health import Alive, alive
from fleet.readings import ABSENT
from fleet.times import to_us

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def _us(minutes_ago: float) -> int:
    return to_us(NOW - timedelta(minutes=minutes_ago))


def _beat(minutes_ago: float, **figures: object) -> dict:
    usual = {"connected": True, "connected_since_us": _us(90), "last_canary_us": _us(0.1)}
    return {
        "started_at": NOW - timedelta(hours=2),
        "beat_at": NOW - timedelta(minutes=minutes_ago),
        "figures": usual | figures,
    }


@pytest.mark.parametrize(
    ("heartbeat", "since", "until"),
    [
        (_beat(0), 90, 0),
        (_beat(17), 90, 17),
        (_beat(0, connected=False), 90, 0.1),
        (_beat(0, last_canary_us=_us(30)), 90, 30),
        (_beat(0, connected_since_us=_us(0.5), last_canary_us=_us(40)), 0.5, 0),
        (_beat(0, connected_since_us=_us(5), last_canary_us=0), 5, 5),
        (_beat(0, connected_since_us=0), 120, 0),
    ],
    ids=[
        "all is well",
        "ingest is gone",
        "the broker is gone",
        "the canary does not come back",
        "just connected again",
        "connected, and never a canary",
        "never connected yet",
    ],
)
def test_a_stretch_in_which_silence_is_the_meters_own(heartbeat, since, until):
    assert alive(heartbeat, NOW) == Alive(_us(since), _us(until))


def test_without_any_heartbeat_all_is_taken_as_whole():
    assert alive(None, NOW) == Alive(ABSENT, to_us(NOW))
