"""Heartbeats as metric families: counters are counters, units are base units, processes stay apart."""

from datetime import UTC, datetime, timedelta

from prometheus_client.core import CounterMetricFamily

from api.process_metrics import process_families

NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def _samples(*heartbeats: tuple[str, str, dict]) -> dict[str, dict[tuple, float]]:
    rows = [
        {"service": service, "instance": instance, "figures": figures, "started_at": NOW, "beat_at": NOW - timedelta(seconds=2)}
        for service, instance, figures in heartbeats
    ]  # fmt: skip
    found: dict[str, dict[tuple, float]] = {}
    for family in process_families(rows, NOW):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_times_are_seconds():
    found = _samples(("ingest", "north", {"commit_us": 2_500_000, "last_canary_us": 1_795_147_200_000_000}))
    assert found["meterwarden_ingest_commit_seconds_total"] == {("north",): 2.5}
    assert found["meterwarden_ingest_last_canary_timestamp_seconds"] == {("north",): 1_795_147_200.0}
    assert found["meterwarden_heartbeat_age_seconds"] == {("ingest", "north"): 2.0}


def test_each_process_has_its_own_sample_and_no_other_services():
    found = _samples(
        ("ingest", "a", {"readings": 3}), ("ingest", "b", {"readings": 4}), ("engine", "", {"readings": 5})
    )
    assert found["meterwarden_ingest_readings_total"] == {("a",): 3.0, ("b",): 4.0}
    assert found["meterwarden_engine_readings_total"] == {("",): 5.0}


def test_reasons_are_counted_by_field_and_readings_apart_from_them():
    found = _samples(("ingest", "a", {"refused": 2, "refused_flow": 1, "refused_ts": 2}))
    assert found["meterwarden_ingest_refused_total"] == {("a", "flow"): 1, ("a", "ts"): 2}
    assert found["meterwarden_ingest_refused_readings_total"] == {("a",): 2.0}


def test_every_family_explains_itself_and_counters_say_that_they_are():
    families = list(process_families([], NOW))
    assert [family.name for family in families if not family.documentation.endswith(".")] == []
    counters = {family.name for family in families if isinstance(family, CounterMetricFamily)}
    assert {"meterwarden_ingest_messages", "meterwarden_ingest_commit_seconds"} <= counters
    assert "meterwarden_ingest_backlog_age_seconds" not in counters
