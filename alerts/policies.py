"""The policies of the database as limits, renewed when another version becomes valid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from fleet.policies import DEFAULT_POLICIES, Policies
from fleet.policy_documents import combined, read_document
from storage.database import Transaction
from storage.policies import valid_policies

_LOG = logging.getLogger("alerts")


class CurrentPolicies:
    """Limits as of the versions seen last; the built-in ones while there is no version."""

    def __init__(self) -> None:
        self.policies: Policies = DEFAULT_POLICIES
        self._versions: list[int] = []

    def renew(self, transaction: Transaction, versions: Sequence[int], now: datetime | None) -> bool:
        """Load the documents if other versions than those loaded are valid; tells whether it did.

        A document that this program cannot read counts for nothing, and is logged: the engine goes
        on with the others. Limits that contradict each other across documents are logged and used.
        """
        if sorted(versions) == self._versions:
            return False
        found = valid_policies(transaction, now)
        read = {name: read_document(name, version.document) for name, version in found.items()}
        whole = combined(read)
        for error in whole.errors:
            _LOG.error("a stored policy cannot be taken: %s", error, extra={"action": "policy_unreadable"})
        self.policies = whole.policies()
        self._versions = sorted(versions)
        return True
