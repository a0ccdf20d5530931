"""`/healthz`: the process lives. `/readyz`: the main job can be done."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel

from api.problems import PROBLEMS, ProblemError
from api.readiness import not_ready
from api.service import SQL, Service, ServiceOf
from storage.exceptions import DatabaseUnavailableError, NotMigratedError
from storage.migrate import is_migrated

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """A plain yes."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process lives; never needs a token, never asks the database."""
    return Health()


@router.get("/readyz", responses={503: PROBLEMS[503]})
def readyz(service: ServiceOf) -> Health:
    """Say that readings are taken, stored in time and checked; else 503 with what is in the way."""
    missing = what_is_missing(service)
    if missing:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "Not ready: " + "; ".join(missing) + ".", not_ready=missing
        )
    return Health()


def what_is_missing(service: Service) -> list[str]:
    """List what keeps the main job from being done."""
    try:
        if not is_migrated(service.database):
            return [str(NotMigratedError())]
        with service.reading() as transaction:
            heartbeats = transaction.rows(SQL["heartbeats"])
    except DatabaseUnavailableError:
        return ["the database cannot be reached"]
    return not_ready(heartbeats, service.now())
