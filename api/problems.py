"""Errors as RFC 9457 problems; a browser that asked for a page gets one with the same status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from fleet.policy_file import PolicyError
from storage.exceptions import DatabaseUnavailableError, NotMigratedError

_FOR_MACHINES = ("/api/", "/healthz", "/readyz", "/metrics", "/openapi.json")
RETRY_AFTER_S = 5


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = Field(description="`about:blank`: the status says what kind of problem this is")
    title: str = Field(description="The status in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What was wrong here, and what to do")
    instance: str = Field(description="The path that was asked for")


class ProblemError(Exception):
    """A request that cannot be served, with everything that its answer says."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        #: Further members of the problem, for example `errors`.
        self.members = members


class ProblemResponse(JSONResponse):
    """A JSON answer of type `application/problem+json`."""

    media_type = "application/problem+json"


#: For the OpenAPI description: the problems that any route may answer with.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {ProblemResponse.media_type: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (401, 404, 422, 503)
}


def problem(request: Request, error: ProblemError) -> Response:
    """Answer with a problem, or with an error page where a browser asked for a page."""
    if _wants_page(request):
        page: Response = request.app.state.error_page(request, error)
        return page
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "instance": request.url.path,
        **error.members,
    }
    return ProblemResponse(body, status_code=error.status, headers=error.headers)


def install_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem."""

    @app.exception_handler(ProblemError)
    async def _own(request: Request, error: ProblemError) -> Response:
        return problem(request, error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return problem(request, ProblemError(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return problem(request, _invalid(error))

    @app.exception_handler(DatabaseUnavailableError)
    async def _database(request: Request, _error: DatabaseUnavailableError) -> Response:
        return problem(request, database_away())

    @app.exception_handler(NotMigratedError)
    async def _schema(request: Request, _error: NotMigratedError) -> Response:
        # What exactly is lacking stays inside.
        return problem(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, _sentence(NotMigratedError())))


def database_away() -> ProblemError:
    """Say that the database cannot be reached; its address stays inside."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database cannot be reached or does not answer in time; try again.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def invalid_query(name: str, detail: str) -> ProblemError:
    """Say which one value of the query cannot be taken."""
    errors = [{"in": "query", "name": name, "detail": detail}]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {detail}", errors=errors)


def invalid_policy(errors: Iterable[PolicyError]) -> ProblemError:
    """Say everything that is wrong with a policy document."""
    found = list(errors)
    listed = [{"in": "body", "name": "policy", "where": one.where, "detail": one.said} for one in found]
    detail = "; ".join(map(str, found))
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=listed)


def _invalid(error: RequestValidationError) -> ProblemError:
    errors = [
        {"in": str(e["loc"][0]), "name": ".".join(map(str, e["loc"][1:])), "detail": str(e["msg"])}
        for e in error.errors()
    ]
    detail = "; ".join(f"{e['name'] or e['in']}: {e['detail']}" for e in errors)
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _wants_page(request: Request) -> bool:
    if request.url.path.startswith(_FOR_MACHINES):
        return False
    return "text/html" in request.headers.get("accept", "")
