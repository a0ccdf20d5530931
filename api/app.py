"""The application: routes, gate and error pages put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import FastAPI

from api import (
    alarms,
    backtests,
    health,
    meters,
    metrics,
    obligations,
    policies,
    readings,
    rollups,
    tasks,
)
from api.console.routes import install_console
from api.guard import Guard
from api.problems import Problem, install_handlers
from api.service import Service
from storage.database import Database

_VERSION = "1"


def create_app(database: Database, *, token: str | None, now: Callable[[], datetime]) -> FastAPI:
    """Make the API and the console over one database.

    With a `token` every request but `/healthz` has to show it; without one the application serves
    only this machine's own host names, and the caller binds it to 127.0.0.1. Raises ValueError for an empty
    token.
    """
    if token == "":
        msg = "an empty token protects nothing; give one, or None"
        raise ValueError(msg)
    # No /docs: FastAPI's page loads its scripts from a CDN.
    app = FastAPI(title="Meterwarden", version=_VERSION, docs_url=None, redoc_url=None)
    app.state.service = Service(database=database, now=now, token=token)
    nouns = (health, metrics, meters, readings, rollups, alarms, tasks, obligations, policies, backtests)
    for noun in nouns:
        app.include_router(noun.router)
    install_console(app)
    install_handlers(app)
    app.add_middleware(Guard)
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the problem's schema where the responses of every route point to."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        description = plain()
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return description

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend it
