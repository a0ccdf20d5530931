"""What every route needs: the database, the clock it was given, and the token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from storage.database import Database, Transaction
from storage.named_sql import load_queries

SQL = load_queries("api")


@dataclass(frozen=True, slots=True)
class Service:
    """The process' surroundings, made once by `create_app`."""

    database: Database
    now: Callable[[], datetime]
    token: str | None
    #: Back-tests take long: one at a time.
    replaying: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that cannot write and cannot run for long.

        Raises DatabaseUnavailableError where the database is away or too slow.
        """
        with self.database.transaction() as transaction:
            transaction.execute(SQL["read_only"])
            yield transaction


def get_service(request: Request) -> Service:
    """Find the service of the application that serves this request."""
    return cast(Service, request.app.state.service)


ServiceOf = Annotated[Service, Depends(get_service)]
