from datetime import UTC, datetime, timedelta

import pytest

from alerts.path_health import Alive, alive, relied_on
from fleet.readings import ABSENT
from fleet.times import to_us

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def _us(minutes_ago: float) -> int:
    return to_us(NOW - timedelta(minutes=minutes_ago))


def _beat(minutes_ago: float, instance: str = "north", **figures: object) -> dict:
    usual = {"connected": True, "connected_since_us": _us(90), "last_canary_us": _us(0.1)}
    return {
        "instance": instance,
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
    assert alive([heartbeat], NOW) == Alive(_us(since), _us(until))


def test_without_any_heartbeat_all_is_taken_as_whole():
    assert alive([], NOW) == Alive(ABSENT, to_us(NOW))


def _group(*members: dict) -> list[dict]:
    return [{**row, "figures": {"share": "city", **row["figures"]}} for row in members]


def test_a_group_is_whole_since_the_last_of_its_members_was_well():
    beats = _group(_beat(0, "a"), _beat(0, "b", connected_since_us=_us(5)))
    assert alive(beats, NOW) == Alive(_us(5), _us(0))


def test_a_member_that_is_away_holds_its_share_so_nobody_can_know():
    beats = _group(_beat(0, "a"), _beat(20, "b"))
    assert alive(beats, NOW) == Alive(_us(90), _us(20))
    assert [row["instance"] for row in relied_on(beats, NOW)] == ["a", "b"]


def test_a_member_is_forgotten_when_its_session_has_ended_at_the_broker():
    beats = _group(_beat(0, "a", session_expiry_s=60), _beat(3, "b", session_expiry_s=60))
    assert alive(beats, NOW) == Alive(_us(90), _us(0))
    assert alive(_group(_beat(0, "a"), _beat(1.9, "b", session_expiry_s=60)), NOW).until_us == _us(1.9)


def test_where_all_sessions_have_ended_the_whole_group_is_missed():
    beats = _group(_beat(30, "a", session_expiry_s=60), _beat(20, "b", session_expiry_s=60))
    assert alive(beats, NOW).until_us == _us(30)


def test_an_identity_that_was_renamed_holds_nobody_up():
    assert alive([_beat(500, "old"), _beat(0, "new")], NOW) == Alive(_us(90), _us(0))


def test_of_two_that_each_take_everything_the_one_that_is_well_for_longer_counts():
    beats = [_beat(0, "a", connected_since_us=_us(5)), _beat(0, "b")]
    assert alive(beats, NOW) == Alive(_us(90), _us(0))
    assert [row["instance"] for row in relied_on(beats, NOW)] == ["b"]


def test_one_that_became_a_group_and_a_group_that_became_one_hold_nobody_up():
    alone, group = [_beat(0, "a")], _group(_beat(0, "b"), _beat(0, "c"))
    gone_alone, gone_group = [_beat(40, "a")], _group(_beat(0, "b"), _beat(40, "c"))
    assert alive(gone_alone + group, NOW).until_us == _us(0)
    assert alive(alone + gone_group, NOW).until_us == _us(0)


def test_members_of_another_group_do_not_belong_to_this_one():
    other = [{**row, "figures": row["figures"] | {"share": "county"}} for row in [_beat(40, "z")]]
    assert alive(other + _group(_beat(0, "a"), _beat(0, "b")), NOW).until_us == _us(0)


def test_a_heartbeat_of_an_older_program_counts_as_one_that_takes_everything():
    older = {**_beat(40, ""), "figures": {"connected": True}}
    assert alive([older], NOW).until_us == _us(40)
    assert alive([older, *_group(_beat(0, "a"))], NOW).until_us == _us(0)
