"""What can go wrong with the database, translated once from the driver's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: Class of SQLSTATE.
_PROGRAM_LIMIT = "54"


class StorageError(Exception):
    """The database refused or failed."""


class DatabaseUnavailableError(StorageError):
    """The database cannot be reached, or the connection was lost."""


class NotMigratedError(StorageError):
    """The database lacks tables or columns that this program needs."""

    def __init__(self, lacking: str | None = None) -> None:
        detail = f" ({lacking})" if lacking else ""
        super().__init__(f"the database is not migrated, run `meterwarden migrate`{detail}")


class SerializationError(StorageError):
    """The transaction met another one; the same work can be tried again."""


class RejectedDataError(StorageError):
    """The database can work, but will not take these very values."""


class UniqueViolationError(RejectedDataError):
    """A row with this key is already there."""

    def __init__(self, message: str, constraint_name: str | None) -> None:
        super().__init__(message)
        #: Name of the constraint or index that was violated.
        self.constraint_name = constraint_name


class MigrationError(StorageError):
    """A migration cannot be applied."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the driver's errors into this package's."""
    try:
        yield
    except psycopg2.errors.UniqueViolation as error:
        raise UniqueViolationError(_first_line(error), error.diag.constraint_name) from error
    except (psycopg2.errors.SerializationFailure, psycopg2.errors.DeadlockDetected) as error:
        raise SerializationError(_first_line(error)) from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        # A program limit is an operational error to the driver, but no waiting will ever help.
        limit = (error.pgcode or "").startswith(_PROGRAM_LIMIT)
        raise (RejectedDataError if limit else DatabaseUnavailableError)(_first_line(error)) from error
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn) as error:
        raise NotMigratedError(_first_line(error)) from error
    except PoolTimeoutError as error:
        msg = "every connection of the pool is busy"
        raise DatabaseUnavailableError(msg) from error
    except (psycopg2.DataError, psycopg2.IntegrityError) as error:
        raise RejectedDataError(_first_line(error)) from error
    except ValueError as error:
        # Of the driver itself, for text that no statement can hold.
        raise RejectedDataError(str(error)) from error
    except psycopg2.Error as error:
        # The driver has no class of its own for a server that went away in mid-sentence.
        lost = type(error) is psycopg2.DatabaseError
        raise (DatabaseUnavailableError if lost else StorageError)(_first_line(error)) from error


def _first_line(error: psycopg2.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
