"""Policy documents in the database: append-only versions, each valid from a moment on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.policy_documents import GROUP
from storage.database import Row, Transaction
from storage.named_sql import load_queries

_SQL = load_queries("storage")


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of one document."""

    policy_id: int
    #: A company's code, or `GROUP`.
    name: str
    document: str
    author: str
    created_at: datetime
    valid_from: datetime


def valid_policies(transaction: Transaction, now: datetime | None) -> dict[str, PolicyVersion]:
    """Load the version of each document that is valid now, by the document's name.

    None for `now` is the database's own time.

    Of several it is the one that became valid last, and of those the one that was written last.
    """
    versions = [_version(row) for row in transaction.rows(_SQL["policies_valid"], {"now": now})]
    return {version.name: version for version in versions}


def versions_ahead(transaction: Transaction, name: str, now: datetime) -> list[PolicyVersion]:
    """Load the versions of a document that are not valid yet, in the order in which they will be."""
    asked = {"company": _company(name), "now": now}
    return [_version(row) for row in transaction.rows(_SQL["policy_versions_ahead"], asked)]


def append_policy(
    transaction: Transaction, name: str, document: str, author: str, now: datetime, valid_from: datetime
) -> PolicyVersion:
    """Add a version of a document; whoever adds one holds `lock_policies`."""
    new = {"company": _company(name), "document": document, "author": author, "now": now}
    return _version(transaction.rows(_SQL["policy_append"], {**new, "valid_from": valid_from})[0])


def lock_policies(transaction: Transaction) -> None:
    """Keep others from adding versions until the transaction ends."""
    transaction.rows(_SQL["policies_lock"])


def _company(name: str) -> str | None:
    return None if name == GROUP else name


def _version(row: Row) -> PolicyVersion:
    values = dict(row)
    return PolicyVersion(name=values.pop("company") or GROUP, **values)
