"""ThingsBoard's gateway and Sparkplug B end in the same rows as the native format."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fleet.meters import Meter
from ingest.delivery import Delivery
from ingest.formats.sparkplug_b_pb2 import Payload
from ingest.service import IngestOptions, IngestService
from storage.database import Database
from storage.exceptions import DatabaseUnavailableError
from storage.registry import upsert_meters
from tests.integration.ingest.fakes import NOW_US, Clock, SessionLog

NOW_MS = NOW_US // 1000


@pytest.fixture
def service(database: Database, make_meter: Callable[..., Meter]) -> IngestService:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1"), make_meter("M2", company="south")])
    return IngestService(database, SessionLog(database), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]


def _deliver(topic: str, *payloads: bytes) -> Delivery:
    n = len(payloads)
    return Delivery(1, NOW_US, [topic.encode()] * n, list(payloads), list(range(1, n + 1)))


def _stored(database: Database) -> list[tuple]:
    with database.transaction() as transaction:
        rows = transaction.rows(
            "SELECT meter_id, flow_m3h, volume_m3 FROM reading JOIN meter USING (meter_key) ORDER BY 1, device_time"
        )
    return [tuple(row.values()) for row in rows]


def _refused(database: Database) -> list[tuple]:
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT reasons FROM refusal ORDER BY refusal_id")
    return [(r["item"], r["field"], r["reason"]) for row in rows for r in row["reasons"]]


def test_a_gateways_devices_are_meters_of_any_company(service: IngestService, database: Database) -> None:
    good = {"ts": NOW_MS, "values": {"flow": 1.5, "volume": 7}}
    payload = {
        "M1": [good, {"ts": NOW_MS + 1, "values": {"flow": "x"}}],
        "M2": [{"ts": NOW_MS, "values": {"flow": 2.5}}],
        "M9": [good],
    }
    service.handle([_deliver("v1/gateway/telemetry", json.dumps(payload).encode(), b"no json")])
    assert _stored(database) == [("M1", 1.5, 7.0), ("M2", 2.5, None)]
    refused = _refused(database)
    assert [(item, field) for item, field, _ in refused] == [(1, "flow"), (None, "meter"), (None, "payload")]
    assert refused[0][2] == "M1: 'x' is not a number"
    assert refused[1][2] == "M9 is not registered"


def _sparkplug(seq: int, alias: int | None = None, name: str | None = None, value: float = 0.0) -> bytes:
    payload = Payload(timestamp=NOW_MS + seq, seq=seq)
    metric = payload.metrics.add(timestamp=NOW_MS + seq, datatype=10, double_value=value)
    if alias is not None:
        metric.alias = alias
    if name is not None:
        metric.name = name.encode()
    return payload.SerializeToString()


def _birth() -> bytes:
    payload = Payload(timestamp=NOW_MS, seq=0)
    payload.metrics.add(name=b"bdSeq", timestamp=NOW_MS, datatype=8, long_value=1)
    return payload.SerializeToString()


def test_an_edge_node_is_asked_for_its_births_and_then_understood(
    service: IngestService, database: Database
) -> None:
    service.handle([_deliver("spBv1.0/plant/DDATA/edge/M1", _sparkplug(5, alias=3, value=1.0))])
    assert _stored(database) == []
    ((topic, request),) = service._session.sent
    assert topic == "spBv1.0/plant/NCMD/edge"
    assert Payload.FromString(request).metrics[0].name == b"Node Control/Rebirth"
    service.handle(
        [
            _deliver("spBv1.0/plant/NBIRTH/edge", _birth()),
            _deliver("spBv1.0/plant/DBIRTH/edge/M1", _sparkplug(1, alias=3, name="Gas/flow", value=2.0)),
            _deliver("spBv1.0/plant/DDATA/edge/M1", _sparkplug(2, alias=3, value=3.0)),
        ]
    )
    assert _stored(database) == [("M1", 2.0, None), ("M1", 3.0, None)]
    with database.transaction() as transaction:
        assert transaction.rows("SELECT online FROM meter_connection") == [{"online": True}]


def test_a_batch_that_is_not_committed_is_decoded_again_from_where_it_began(
    service: IngestService, database: Database
) -> None:
    births = [
        _deliver("spBv1.0/plant/NBIRTH/edge", _birth()),
        _deliver("spBv1.0/plant/DBIRTH/edge/M1", _sparkplug(1, alias=3, name="flow", value=2.0)),
    ]
    data = [_deliver("spBv1.0/plant/DDATA/edge/M1", _sparkplug(seq, alias=3, value=seq)) for seq in (2, 3)]
    service.handle(births)
    good, service._committer._writer._database = (
        service._committer._writer._database,
        Database("postgresql://nobody@127.0.0.1:9/none"),
    )
    with pytest.raises(DatabaseUnavailableError):
        service.handle(data)
    service._committer._writer._database = good
    service.handle(data)
    assert [flow for _, flow, _ in _stored(database)] == [2.0, 2.0, 3.0]
    assert service._session.sent == []


@pytest.mark.parametrize("value", ["\\u0000", "\0", "\ud800", "\\ud800"])
def test_no_value_makes_a_refusal_that_cannot_be_stored(
    value: str, service: IngestService, database: Database
) -> None:
    readings = [{"ts": NOW_MS + at, "seq": at, "boot": 1, "flow": 1.0} for at in (1, 2, 3)]
    readings[1]["flow"] = value
    service.handle([_deliver("gas/v1/north/M1/telemetry", json.dumps(readings).encode())])
    gateway = json.dumps({value: [{"flow": 1}]}).encode()
    service.handle([_deliver("v1/gateway/telemetry", gateway)])
    assert len(_stored(database)) == 2
    assert [(item, field) for item, field, _ in _refused(database)] == [(1, "flow"), (None, "meter")]
    with database.transaction() as transaction:
        assert transaction.rows("SELECT * FROM sequence_gap") == []


def test_a_meter_registered_a_moment_ago_is_known(
    service: IngestService, database: Database, make_meter: Callable[..., Meter]
) -> None:
    def send() -> None:
        reading = json.dumps({"ts": NOW_MS + len(_stored(database)), "flow": 1.0}).encode()
        service.handle([_deliver("gas/v1/south/M7/telemetry", reading)])

    send()
    assert _stored(database) == []
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M7", company="north")])
    send()
    assert _stored(database) == []
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M7", company="south")])
    send()
    assert [row[0] for row in _stored(database)] == ["M7"]


def test_a_backlog_of_an_edge_node_may_come_twice(service: IngestService, database: Database) -> None:
    births = [
        _deliver("spBv1.0/plant/NBIRTH/edge", _birth()),
        _deliver("spBv1.0/plant/DBIRTH/edge/M1", _sparkplug(1, alias=3, name="flow", value=2.0)),
    ]
    bodies = [_numbered(number) for number in range(2, 702)]
    service.handle([*births, _deliver("spBv1.0/plant/DDATA/edge/M1", *bodies[:600])])
    # The acknowledgements never reached the broker.
    service.handle([_deliver("spBv1.0/plant/DDATA/edge/M1", *bodies[200:600])])
    service.handle([_deliver("spBv1.0/plant/DDATA/edge/M1", *bodies[600:])])
    assert (len(_stored(database)), _refused(database), service._session.sent) == (701, [], [])


def _numbered(number: int) -> bytes:
    at_ms = NOW_MS + number
    payload = Payload(timestamp=at_ms, seq=number % 256)
    payload.metrics.add(timestamp=at_ms, alias=3, double_value=float(number))
    return payload.SerializeToString()
