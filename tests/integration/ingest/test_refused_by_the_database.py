"""A batch that the database takes only in part: what is committed stays, what follows is understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from fleet.meters import Meter
from ingest.batch import AssembledBatch
from ingest.delivery import Delivery
from ingest.service import IngestOptions, IngestService
from ingest.writer import Committed
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError
from storage.registry import upsert_meters
from tests.integration.ingest.fakes import NOW_US, Clock, SessionLog
from tests.unit.ingest.test_sparkplug import DEVICE, NODE, T, device_birth, node_birth, payload

Message = tuple[str, bytes]
#: A flow that the constraint of these tests refuses.
_POISON = 13.5


@pytest.fixture
def service(database: Database, make_meter: Callable[..., Meter]) -> IngestService:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1"), make_meter("M2")])
        transaction.execute(f"ALTER TABLE reading ADD CONSTRAINT poison CHECK (flow_m3h <> {_POISON})")
    return IngestService(database, SessionLog(database), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]


def _deliver(messages: Sequence[Message]) -> Delivery:
    packets = list(range(1, len(messages) + 1))
    return Delivery(
        1, NOW_US, [topic.encode() for topic, _ in messages], [body for _, body in messages], packets
    )


def _native(seq: int, flow: float = 1.0, meter: str = "M2") -> Message:
    reading = {"ts": T + seq, "seq": seq, "boot": 1, "flow": flow}
    return f"gas/v1/north/{meter}/telemetry", json.dumps(reading).encode()


def _data(number: int, flow: float) -> Message:
    metric = {"alias": 1, "double_value": flow}
    return DEVICE.format("DDATA"), payload(number % 256, metric, at=T + 1000 * number)


def _stream(end: int, poisoned: int | None = None) -> list[Message]:
    """Births, and data messages up to a number."""
    births = [(NODE.format("NBIRTH"), node_birth()), (DEVICE.format("DBIRTH"), device_birth())]
    return births + [_data(n, _POISON if n == poisoned else float(n)) for n in range(2, end)]


def _count(database: Database, what: str) -> int:
    with database.transaction() as transaction:
        row = transaction.row(f"SELECT count(*) AS n FROM {what}")
    return int(row["n"]) if row else 0


def _fail_at(service: IngestService, call: int) -> None:
    """Let the database be away at one of the writes to come, counted from 1."""
    write, calls = service._committer._writer.write, 0

    def flaky(batch: AssembledBatch, identity: str, now: datetime) -> Committed:
        nonlocal calls
        calls += 1
        if calls == call:
            msg = "gone"
            raise DatabaseUnavailableError(msg)
        return write(batch, identity, now)

    service._committer._writer.write = flaky  # type: ignore[method-assign]


def test_what_follows_a_refused_message_of_an_edge_node_is_understood(
    service: IngestService, database: Database
) -> None:
    service.handle([_deliver(_stream(100, poisoned=20))])
    # The device's birth is a reading too.
    assert (_count(database, "reading"), _count(database, "refusal")) == (98, 1)
    assert service._session.sent == []


def test_a_refused_message_leaves_no_gap(service: IngestService, database: Database) -> None:
    service.handle([_deliver([_native(1), _native(2, _POISON), _native(3)])])
    assert (_count(database, "reading"), _count(database, "refusal")) == (2, 1)
    assert _count(database, "sequence_gap") == 0
    assert service._session.said == [("gas/v1/north/M2/confirm", {"boot": 1, "seq": 3})]


def test_a_refused_message_is_decoded_again_where_its_refusal_could_not_be_written(
    service: IngestService, database: Database
) -> None:
    service.handle([_deliver(_stream(10))])
    batch = service._decode([_deliver([_data(10, _POISON)])])
    _fail_at(service, 2)
    with pytest.raises(DatabaseUnavailableError):
        service._committer.settle(batch)
    service._committer.settle(batch)
    service.handle([_deliver([_data(11, 11.0)])])
    assert (_count(database, "reading"), _count(database, "refusal")) == (10, 1)


@pytest.mark.parametrize("call", range(2, 12))
def test_a_batch_whose_first_pieces_are_committed_goes_on_after_them(
    service: IngestService, database: Database, call: int
) -> None:
    # Numbers up to 600 come round, so that a second decoding of them would be out of step.
    messages = [("gas/v1/north/M2/telemetry", b"no json"), _native(1), *_stream(600), _native(2, _POISON)]
    batch = service._decode([_deliver(messages)])
    _fail_at(service, call)
    with pytest.raises(DatabaseUnavailableError):
        service._committer.settle(batch)
    assert service._session.acknowledged == []
    service._committer.settle(batch)
    assert (_count(database, "reading"), _count(database, "refusal")) == (600, 2)
    assert [packet for packet, _ in service._session.acknowledged] == list(range(1, len(messages) + 1))
    figures = service.figures
    assert (figures["readings"], figures["duplicates"], figures["refused"]) == (600, 0, 2)
    assert service._session.said == [("gas/v1/north/M2/confirm", {"boot": 1, "seq": 2})]


def test_a_message_whose_number_the_database_cannot_take_does_not_block_the_others(
    service: IngestService, database: Database
) -> None:
    with database.transaction() as transaction:
        transaction.execute("ALTER TABLE meter_sequence ADD CONSTRAINT low CHECK (highest < 1000)")
    service.handle([_deliver([_native(1), _native(1000), _native(2)])])
    assert (_count(database, "reading"), _count(database, "refusal")) == (2, 1)
    assert service._session.said == [("gas/v1/north/M2/confirm", {"boot": 1, "seq": 2})]
