"""Cursor pages: each answer carries the address of the next."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from api.problems import invalid_query
from storage.database import Row

Item = TypeVar("Item")
Cursor = list[Any]

LARGEST_PAGE = 1000
_NO_CURSOR = ("after", "is no cursor of this list")
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items per page")]
After = Annotated[str | None, Query(max_length=200, description="Cursor: taken from `next`, never made up")]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(description="Address of the next page; null on the last one")


def encode_cursor(values: Sequence[Any]) -> str:
    """Make the opaque text of a position in a list."""
    packed = json.dumps(list(values), separators=(",", ":"), default=str).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str | None, *parsers: Callable[[Any], Any]) -> Cursor | None:
    """Read a position, one parser per value; None for the start of the list.

    Raises ProblemError (422) for a text that `encode_cursor` never made.
    """
    if text is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return [parse(value) for parse, value in zip(parsers, values, strict=True)]
    except (ValueError, TypeError, binascii.Error) as error:
        raise invalid_query(*_NO_CURSOR) from error


def paged(
    request: Request, response: Response, rows: list[Row], limit: int, key: Callable[[Row], Sequence[Any]]
) -> dict[str, Any]:
    """Cut `limit` + 1 rows into a page, and link to the next one (RFC 8288)."""
    following = None
    if len(rows) > limit:
        cursor = encode_cursor(key(rows[limit - 1]))
        url = request.url.include_query_params(after=cursor)
        following = f"{url.path}?{url.query}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    return {"items": rows[:limit], "next": following}


_INT64_TOP = 2**63 - 1


def integer(value: Any) -> int:
    """Read a cursor's integer; it must fit the database's bigint."""
    if type(value) is not int or not -1 <= value <= _INT64_TOP:
        msg = f"{value!r} is no integer"
        raise ValueError(msg)
    return value


def text(value: Any) -> str:
    """Read a cursor's text."""
    if not isinstance(value, str) or "\0" in value:
        msg = f"{value!r} is no text"
        raise ValueError(msg)
    # Half a surrogate pair, which JSON can spell, fails here and not in the driver.
    value.encode()
    return value
