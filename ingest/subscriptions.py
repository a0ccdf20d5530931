"""What an ingest process subscribes to, alone or as one of a group, and what it has to give up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.wire import ROOT
from ingest.canary import Canary
from ingest.formats import sparkplug_topic, thingsboard
from storage.database import Database
from storage.named_sql import load_queries

_SQL = load_queries("ingest")

#: Messages that stand for themselves: any process of a group may take any of them.
_SHARED = (f"{ROOT}/+/+/telemetry", thingsboard.TOPIC)
#: What every process takes as a whole. A broker sends no retained message to a shared subscription,
#: and a status is one. A Sparkplug message is understood only by who saw all of its edge node's
#: before, and a broker deals them out one by one; taken by all, what remains of a lost process is
#: understood at once, and the key stores each reading once.
_WHOLE = (f"{ROOT}/+/+/status", f"{sparkplug_topic.NAMESPACE}/#")


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Topic filters of one session."""

    wanted: tuple[str, ...]
    #: Of former settings; a persistent session holds them until told otherwise, and each message came twice.
    unwanted: tuple[str, ...] = ()


def choose(identity: str, share: str | None, held: Iterable[str] = ()) -> Subscriptions:
    """Choose the filters of a process, alone or in the group `share`; `held` are those it ever had."""
    shared = [name if share is None else f"$share/{share}/{name}" for name in _SHARED]
    wanted = (*shared, *_WHOLE, Canary(identity).topic)
    return Subscriptions(wanted, tuple(sorted({*_SHARED, *held} - {*wanted})))


def note(database: Database, identity: str, share: str | None) -> Subscriptions:
    """Choose the filters, and note them for the runs to come before the broker hears of them.

    Nothing is crossed out: to give up a filter again that the session does not hold is harmless.
    Raises DatabaseUnavailableError.
    """
    with database.transaction() as transaction:
        rows = transaction.rows(_SQL["ingest_filters_held"], {"identity": identity})
        found = choose(identity, share, [row["filter"] for row in rows])
        noted = {"identity": identity, "filters": list(found.wanted)}
        transaction.execute(_SQL["ingest_filters_note"], noted)
    return found
