"""`/metrics`: the system's figures for Prometheus, read from the database at each scrape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response

from api.problems import PROBLEMS
from api.process_metrics import process_families
from api.service import SQL, ServiceOf
from storage.database import Row, Transaction

router = APIRouter(tags=["operation"])


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a scrape shows, as the database has it."""

    now: datetime
    heartbeats: list[Row]
    meters: list[Row]
    alarms: list[Row]
    tasks: list[Row]
    backlog: Row
    gaps: int


@router.get("/metrics", response_class=Response, responses={503: PROBLEMS[503]})
def metrics(service: ServiceOf) -> Response:
    """Show the figures in Prometheus' text format."""
    with service.reading() as transaction:
        figures = fetch_figures(transaction, service.now())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FigureCollector(figures))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def fetch_figures(transaction: Transaction, now: datetime) -> Figures:
    """Read the figures; never counts telemetry, whose number ingest's heartbeat carries."""
    return Figures(
        now=now,
        heartbeats=transaction.rows(SQL["heartbeats"]),
        meters=transaction.rows(SQL["meters_by_company"]),
        alarms=transaction.rows(SQL["open_alarms_by_check"]),
        tasks=transaction.rows(SQL["tasks_by_state"]),
        backlog=transaction.rows(SQL["backlog"])[0],
        gaps=transaction.rows(SQL["gaps_count"])[0]["gaps"],
    )


class FigureCollector(Collector):
    """Turns figures into Prometheus' metric families."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        figures = self._figures
        yield _gauge("meters", "Meters in the registry.", ["company"], figures.meters, "meters")
        yield _gauge(
            "alarms_open", "Alarms that are not closed.", ["check", "severity"], figures.alarms, "alarms"
        )
        yield _gauge(
            "tasks_open", "Tasks neither verified nor cancelled.", ["kind", "state"], figures.tasks, "tasks"
        )
        yield _one(
            "engine_backlog_rows", "Batches that the engine has not evaluated.", figures.backlog["rows"]
        )
        oldest = figures.backlog["oldest_at"]
        age_s = 0.0 if oldest is None else (figures.now - oldest).total_seconds()
        yield _one("engine_backlog_age_seconds", "Age of the oldest batch not evaluated.", age_s)
        yield _one("gaps_open", "Gaps in the sequences of meters, asked for and not filled.", figures.gaps)
        yield from process_families(figures.heartbeats, figures.now)


def _gauge(name: str, text: str, labels: list[str], rows: list[Row], value: str) -> Metric:
    family = GaugeMetricFamily(f"meterwarden_{name}", text, labels=labels)
    for row in rows:
        family.add_metric([row[label] for label in labels], row[value])
    return family


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"meterwarden_{name}", text, value=value)
