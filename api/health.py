"""`/healthz`: the process lives. `/readyz`: the main job can be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel

from alerts.path_health import relied_on
from api.problems import PROBLEMS, ProblemError
from api.service import SQL, Service, ServiceOf
from storage.database import Row
from storage.exceptions import DatabaseUnavailableError, NotMigratedError
from storage.migrate import is_migrated

router = APIRouter(tags=["operation"])

HEARTBEAT_AT_MOST = timedelta(seconds=30)


class Health(BaseModel):
    """A plain yes."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process lives; never needs a token, never asks the database."""
    return Health()


@router.get("/readyz", responses={503: PROBLEMS[503]})
def readyz(service: ServiceOf) -> Health:
    """Say that the database, its schema, ingest and the engine are there; else 503 with what is not."""
    missing = not_ready(service)
    if missing:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "Not ready: " + "; ".join(missing) + ".", not_ready=missing
        )
    return Health()


def not_ready(service: Service) -> list[str]:
    """List what keeps the main job from being done."""
    try:
        if not is_migrated(service.database):
            return [str(NotMigratedError())]
        with service.reading() as transaction:
            heartbeats = transaction.rows(SQL["heartbeats"])
    except DatabaseUnavailableError:
        return ["the database cannot be reached"]
    now = service.now()
    ingest = relied_on([row for row in heartbeats if row["service"] == "ingest"], now)
    engines = [row for row in heartbeats if row["service"] == "engine"]
    return [*_silent("ingest", ingest, now), *_silent("engine", engines, now)]


def _silent(name: str, needed: list[Row], now: datetime) -> list[str]:
    """List the processes of a service that give no sign of life."""
    late = [row["instance"] for row in needed if now - row["beat_at"] > HEARTBEAT_AT_MOST]
    who = [f"{name} {instance}".strip() for instance in late] if needed else [name]
    return [f"{one} gave no sign of life for {HEARTBEAT_AT_MOST.seconds} s" for one in who]
