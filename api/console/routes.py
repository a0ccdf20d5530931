"""Everything that the console adds to the application."""

from __future__ import annotations

import mimetypes
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from api.console import alarm_pages, meter_pages, sessions, task_pages
from api.console.render import render, static_address, static_bytes
from api.problems import ProblemError

router = APIRouter(include_in_schema=False)

#: The words of an error page; any other status gets those of 500 or 400.
EXPLAINED = (400, 403, 404, 409, 412, 500, 503)
#: Addresses of static files change with the file.
_CACHE_FOR_S = 30 * 86400


def install_console(app: FastAPI) -> None:
    """Add the pages, their static files and the error page to the application."""
    for module in (sessions, alarm_pages, task_pages, meter_pages):
        app.include_router(module.router)
    app.include_router(router)
    app.state.error_page = error_page


@router.get("/static/{name:path}")
def static_file(name: str, request: Request) -> Response:
    """Serve a file that ships with the console."""
    try:
        if ".." in name.split("/"):
            raise FileNotFoundError(name)
        content = static_bytes(name)
        current = static_address(name)
    except OSError as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such file.") from error
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    named = request.query_params.get("v") == current.rpartition("=")[2]
    cache = f"max-age={_CACHE_FOR_S}, immutable" if named else "no-cache"
    return Response(content, media_type=kind, headers={"Cache-Control": f"private, {cache}"})


def error_page(request: Request, error: ProblemError) -> Response:
    """Show an error to a person; a missing token becomes the sign-in form."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        return sessions.sign_in_page(request, error.headers)
    fallback = 500 if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else 400
    code = error.status if error.status in EXPLAINED else fallback
    page = render(request, "error.html", {"status": error.status, "code": str(code)}, error.status)
    page.headers.update(error.headers or {})
    return page
