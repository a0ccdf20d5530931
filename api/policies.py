"""Policies: the group's document and each company's, version by version."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.alarms import etag, matches
from api.problems import PROBLEMS, ProblemError, invalid_policy
from api.service import SQL, ServiceOf
from fleet.policy_documents import GROUP, combined, read_document
from fleet.policy_file import PolicyFile
from fleet.wire import ID_PATTERN
from storage.database import Transaction
from storage.policies import PolicyVersion, append_policy, lock_policies, valid_policies, versions_ahead

router = APIRouter(prefix="/api/v1/policies", tags=["policies"], responses=PROBLEMS)

PolicyName = Annotated[
    str, Path(pattern=f"^{ID_PATTERN}$", description="A company's code, or `default` for the group's")
]
#: A policy document; the body that carries it may not be longer either.
PolicyText = Annotated[str, Field(max_length=60_000, pattern=r"^[^\x00]*$", description="TOML")]


class VersionOut(BaseModel):
    """One version of a document."""

    version: int = Field(description="Grows with each version of any document; 0 before the first")
    policy: str = Field(description="TOML; empty where nothing differs from the built-in limits")
    author: str | None
    created_at: datetime | None
    valid_from: datetime | None = Field(description="From the first evaluation after it on")


class PolicyOut(VersionOut):
    """The version that is valid now, and those that are not yet."""

    name: str = Field(description="The company's code, or `default`")
    ahead: list[VersionOut] = Field(description="Versions that become valid later, the next one first")


class PolicyIn(BaseModel):
    """A new version of a document."""

    model_config = ConfigDict(extra="forbid")

    policy: PolicyText
    author: str = Field(
        "api", min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$", description="Who writes it"
    )
    valid_from: AwareDatetime | None = Field(None, description="Not in the past; now where absent")


@router.get("/{name}")
def read_policy(
    service: ServiceOf,
    response: Response,
    name: PolicyName,
    if_none_match: Annotated[str | None, Header()] = None,
) -> PolicyOut:
    """Read a policy document; the answer carries an ETag."""
    with service.reading() as transaction:
        shown = fetch_policy(transaction, name, service.now())
    response.headers["ETag"] = tag = etag(shown)
    if matches(if_none_match, tag):
        response.status_code = HTTPStatus.NOT_MODIFIED
    return shown


@router.put("/{name}", responses={412: PROBLEMS[404]})
def write_policy(
    service: ServiceOf,
    response: Response,
    name: PolicyName,
    body: PolicyIn,
    if_match: Annotated[
        str | None, Header(description="The document's ETag: change only what was seen")
    ] = None,
) -> PolicyOut:
    """Add a version of a policy document; the same text again adds none."""
    now = service.now()
    if body.valid_from is not None and body.valid_from < now:
        detail = "valid_from lies in the past, which is not judged again; leave it out for now."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    with service.database.transaction() as transaction:
        lock_policies(transaction)
        before = fetch_policy(transaction, name, now)
        if if_match is not None and not matches(if_match, etag(before)):
            detail = "The policy has changed since it was read; read again."
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, detail)
        changed_policies(transaction, name, body.policy, now)
        said_before = body.policy == before.policy and body.valid_from is None and before.version > 0
        if not said_before:
            append_policy(transaction, name, body.policy, body.author, now, body.valid_from or now)
        shown = fetch_policy(transaction, name, now)
    response.headers["ETag"] = etag(shown)
    return shown


def fetch_policy(transaction: Transaction, name: str, now: datetime) -> PolicyOut:
    """Fetch a document; raises ProblemError (404) for a company that there is not."""
    check_company(transaction, name)
    valid = valid_policies(transaction, now).get(name)
    ahead = [_shown(version) for version in versions_ahead(transaction, name, now)]
    return PolicyOut(name=name, **_shown(valid).model_dump(), ahead=ahead)


def changed_policies(transaction: Transaction, name: str, text: str, now: datetime) -> PolicyFile:
    """Put a changed document in the place of its present version, beside the others.

    Raises ProblemError (422) with every error in it, and with those that it makes together with
    the other documents.
    """
    changed = read_document(name, text)
    if changed.errors:
        raise invalid_policy(changed.errors)
    others = present_documents(transaction, now)
    present = combined(others).errors
    whole = combined({**others, name: changed})
    new = [error for error in whole.errors if error not in present]
    if new:
        raise invalid_policy(new)
    return whole


def present_documents(transaction: Transaction, now: datetime) -> dict[str, PolicyFile]:
    """Read the documents that are valid now, by name."""
    valid = valid_policies(transaction, now)
    return {name: read_document(name, version.document) for name, version in valid.items()}


def check_company(transaction: Transaction, name: str) -> None:
    """Raise ProblemError (404) where a name is neither a company's code nor the group's."""
    if name != GROUP and not transaction.rows(SQL["company_one"], {"company": name}):
        raise ProblemError(HTTPStatus.NOT_FOUND, f"The registry has no company {name}.")


def _shown(version: PolicyVersion | None) -> VersionOut:
    if version is None:
        return VersionOut(version=0, policy="", author=None, created_at=None, valid_from=None)
    return VersionOut(
        version=version.policy_id,
        policy=version.document,
        author=version.author,
        created_at=version.created_at,
        valid_from=version.valid_from,
    )
