"""Whatever comes over the wire is stored or refused by ingest itself; the database never has to say no."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given, seed, settings

from fleet.meters import Meter
from ingest.delivery import Delivery
from ingest.service import IngestOptions, IngestService
from storage.database import Database
from storage.registry import upsert_meters
from tests.integration.ingest.fakes import NOW_US, SessionLog
from tests.property.payloads import METERS, Sent, batches

_TABLES = "reading, reading_conflict, refusal, meter_sequence, sequence_gap, dirty_work, meter_connection"


def _delivery(sent: Sequence[Sent]) -> Delivery:
    topics, payloads = [message.topic for message in sent], [message.payload for message in sent]
    return Delivery(1, NOW_US, topics, payloads, list(range(1, len(sent) + 1)))


def test_any_batch_is_stored_acknowledged_and_accounted_for(
    database: Database, make_meter: Callable[..., Meter]
) -> None:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter(name, company=company) for name, company in METERS.items()])

    def one(sent: list[Sent]) -> None:
        log = SessionLog(database)
        service = IngestService(database, log, IngestOptions(identity="north"), clock_us=lambda: NOW_US)  # type: ignore[arg-type]
        service.handle([_delivery(sent)])
        assert [packet for packet, _ in log.acknowledged] == list(range(1, len(sent) + 1))
        _check_accounts(database, service)
        _check_neighbours(database, sent)

    rules = settings(max_examples=250)
    rules(seed(1)(given(batches)(one)))()


def _check_accounts(database: Database, service: IngestService) -> None:
    figures = service.figures
    with database.transaction() as transaction:
        stored = transaction.row("SELECT count(*) AS n FROM reading")
        refused = transaction.row("SELECT coalesce(sum(readings), 0) AS n FROM refusal")
        by_database = transaction.rows("SELECT reasons FROM refusal WHERE reasons::text LIKE '%%database:%%'")
    assert stored == {"n": figures["readings"]}
    assert refused == {"n": figures["refused"]}
    assert by_database == []


def _check_neighbours(database: Database, sent: Sequence[Sent]) -> None:
    """Look for each good reading under its key, and leave the tables empty."""
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT meter_id, seq, flow_m3h FROM reading JOIN meter USING (meter_key)")
        transaction.execute(f"TRUNCATE {_TABLES}")
    found = {(row["meter_id"], row["seq"], row["flow_m3h"]) for row in rows}
    flows: dict[tuple[str, int, int], set[float]] = {}
    for meter_id, reading in (good for message in sent for good in message.good):
        flows.setdefault((meter_id, reading["ts"], reading["seq"]), set()).add(float(reading["flow"]))
    for (meter_id, _, seq), wanted in flows.items():
        assert any((meter_id, seq, flow) in found for flow in wanted)
