"""What the processes say of themselves in their heartbeats, as Prometheus' metric families; pure.

The label is `identity`: Prometheus itself gives every sample of a scrape the label `instance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from storage.database import Row

_REFUSED = "refused_"


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric of a service: which figure of its heartbeat, and what to multiply with."""

    service: str
    name: str
    text: str
    figure: str
    unit: float = 1.0


_COUNTERS = (
    _Family("ingest", "messages", "Messages committed, of every kind.", "messages"),
    _Family("ingest", "readings", "Readings stored.", "readings"),
    _Family("ingest", "duplicates", "Readings that were stored already.", "duplicates"),
    _Family("ingest", "conflicts", "Readings whose key was taken by other content.", "conflicts"),
    _Family("ingest", "refused_readings", "Readings refused.", "refused"),
    _Family("ingest", "unknown_fields", "Fields of readings that no format knows.", "unknown_fields"),
    _Family("ingest", "batches", "Batches committed.", "batches"),
    _Family("ingest", "commit_seconds", "Time spent in transactions of batches.", "commit_us", 1e-6),
    _Family("ingest", "retries", "Attempts that the database did not take.", "retries"),
    _Family("ingest", "confirms", "Words to meters that their readings are stored.", "confirms"),
    _Family("ingest", "connections", "Connections to the broker so far; the epoch.", "epoch"),
    _Family("engine", "cycles", "Rounds in which there was work.", "cycles"),
    _Family("engine", "batches", "Batches of ingest evaluated.", "claimed"),
    _Family("engine", "readings", "Readings evaluated.", "readings"),
    _Family("engine", "reevaluated_meters", "Meters evaluated again for late readings.", "reevaluated"),
    _Family("engine", "alarms_opened", "Alarms raised.", "alarms_opened"),
    _Family("engine", "alarms_cleared", "Alarms whose condition ended.", "alarms_cleared"),
    _Family("engine", "tasks_created", "Tasks made.", "tasks_created"),
    _Family("engine", "conflicts", "Rounds given up because another writer was there.", "conflicts"),
    _Family("engine", "rollup_hours", "Hours rolled up, new or changed.", "rollup_hours"),
    _Family("engine", "slow_judged", "Meters whose last days the slow checks judged.", "slow_judged"),
)
_GAUGES = (
    _Family("ingest", "connected", "1 while the broker is connected, else 0.", "connected"),
    _Family("ingest", "backlog_messages", "Messages delivered and not taken yet.", "backlog"),
    _Family("ingest", "backlog_age_seconds", "For how long readings may be waiting.", "backlog_age_s"),
    _Family(
        "ingest",
        "canary_round_trip_seconds",
        "How long the last canary took through broker and database.",
        "canary_round_trip_s",
    ),
    _Family(
        "ingest",
        "last_canary_timestamp_seconds",
        "When the last canary that came back was sent, since 1970.",
        "last_canary_us",
        1e-6,
    ),
    _Family("ingest", "last_batch_messages", "Messages of the last batch.", "last_batch_messages"),
    _Family("ingest", "resident_memory_bytes", "Memory of the process.", "rss_bytes"),
    _Family("engine", "rollup_lag_seconds", "For how long the oldest roll-up waits.", "rollup_lag_s"),
    _Family("engine", "slow_due", "Meters that wait for the slow checks.", "slow_due"),
)


def process_families(heartbeats: Sequence[Row], now: datetime) -> Iterator[Metric]:
    """Give every family, also those of which there is no sample yet."""
    labels = ["service", "identity"]
    age = GaugeMetricFamily(
        "meterwarden_heartbeat_age_seconds", "Time since a process' last sign of life.", labels=labels
    )
    start = GaugeMetricFamily(
        "meterwarden_service_start_time_seconds", "When a process started, since 1970.", labels=labels
    )
    for row in heartbeats:
        age.add_metric([row["service"], row["instance"]], (now - row["beat_at"]).total_seconds())
        start.add_metric([row["service"], row["instance"]], row["started_at"].timestamp())
    yield from (age, start, _refused(heartbeats))
    for kind, families in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
        for family in families:
            yield _filled(kind, family, heartbeats)


def _filled(kind: type[Metric], family: _Family, heartbeats: Sequence[Row]) -> Metric:
    name = f"meterwarden_{family.service}_{family.name}"
    metric = kind(name, family.text, labels=["identity"])  # type: ignore[call-arg] # of the two kinds
    for row in heartbeats:
        value = row["figures"].get(family.figure, 0)
        if row["service"] == family.service:
            metric.add_metric([row["instance"]], value * family.unit)  # type: ignore[attr-defined]
    return metric


def _refused(heartbeats: Sequence[Row]) -> Metric:
    family = CounterMetricFamily(
        "meterwarden_ingest_refused",
        "Reasons for which readings were refused, by field; one reading can have several.",
        labels=["identity", "field"],
    )
    for row in heartbeats:
        for name, value in sorted(row["figures"].items()):
            if row["service"] == "ingest" and name.startswith(_REFUSED):
                family.add_metric([row["instance"], name.removeprefix(_REFUSED)], value)
    return family
