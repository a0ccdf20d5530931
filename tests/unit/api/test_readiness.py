"""What keeps the main job from being done, by the heartbeats."""

from datetime import UTC, datetime, timedelta

from api.readiness import not_ready

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def _beat(service: str, instance: str = "", age_s: float = 1, **figures: object) -> dict:
    times = {"started_at": NOW - timedelta(hours=1), "beat_at": NOW - timedelta(seconds=age_s)}
    return {"service": service, "instance": instance, **times, "figures": {"connected": True} | figures}


ENGINE = _beat("engine")


def test_where_both_live_and_nothing_waits_all_is_ready():
    assert not_ready([_beat("ingest", "north", backlog_age_s=60.0), ENGINE], NOW) == []


def test_services_that_never_beat_are_missed_by_their_names():
    assert not_ready([], NOW) == [f"{name} gave no sign of life for 30 s" for name in ("ingest", "engine")]


def test_a_silent_process_is_said_to_be_silent_and_nothing_else():
    silent = _beat("ingest", "north", age_s=31, connected=False, backlog_age_s=500)
    assert not_ready([silent, ENGINE], NOW) == ["ingest north gave no sign of life for 30 s"]


def test_readings_that_wait_for_more_than_a_minute_are_a_reason():
    late = _beat("ingest", "north", backlog_age_s=60.6)
    assert not_ready([late, ENGINE], NOW) == ["ingest north lags: readings may have been waiting for 61 s"]


def test_each_member_of_a_group_has_to_be_well():
    group = [
        _beat("ingest", "a", share="city"),
        _beat("ingest", "b", share="city", connected=False),
        _beat("ingest", "c", share="city", age_s=40),
    ]
    assert not_ready([*group, ENGINE], NOW) == [
        "ingest c gave no sign of life for 30 s",
        "ingest b is not connected to the broker",
    ]


def test_a_lagging_process_counts_though_a_renamed_one_is_away():
    beats = [_beat("ingest", "old", age_s=9_000), _beat("ingest", "new", backlog_age_s=90), ENGINE]
    assert not_ready(beats, NOW) == ["ingest new lags: readings may have been waiting for 90 s"]
