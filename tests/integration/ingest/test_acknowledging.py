"""Acknowledgements wait for the commit, and never cross from one connection to the next."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from structlog.testing import capture_logs

from fleet.meters import Meter
from fleet.times import to_datetime
from ingest.confirming import Outgoing
from ingest.delivery import Delivery
from ingest.exceptions import IdentityLostError, SessionLostError
from ingest.identity import Identity
from ingest.service import STEPS, IngestOptions, IngestService
from ingest.session import MqttSession
from ingest.subscriptions import Subscriptions
from storage.database import Database, Transaction
from storage.exceptions import DatabaseUnavailableError, StorageError
from storage.registry import upsert_meters
from tests.integration.ingest.fakes import NOW_US, Clock, SessionLog


def _message(packet_id: int, payload: object = None, epoch: int = 1) -> Delivery:
    reading = {"ts": NOW_US // 1000 + packet_id, "seq": packet_id, "boot": 1, "flow": 1.0}
    body = payload if isinstance(payload, bytes) else json.dumps(payload or reading).encode()
    return Delivery(epoch, NOW_US, [b"gas/v1/north/M1/telemetry"], [body], [packet_id])


def _confirmed(seq: int) -> tuple[str, dict[str, int]]:
    return "gas/v1/north/M1/confirm", {"boot": 1, "seq": seq}


@pytest.fixture
def service(database: Database, make_meter: Callable[..., Meter]) -> IngestService:
    with database.transaction() as transaction:
        upsert_meters(transaction, [make_meter("M1")])
    return IngestService(database, SessionLog(database), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]


def test_acknowledgements_come_in_order_and_after_the_commit(service: IngestService) -> None:
    service.handle([_message(1), _message(2), _message(3)])
    assert service._session.acknowledged == [(1, 3), (2, 3), (3, 3)]
    assert service._session.said == [_confirmed(3)]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(
    step: str, service: IngestService, database: Database
) -> None:
    def crash(at: str) -> None:
        if at == step:
            raise KeyboardInterrupt

    log = SessionLog(database)
    dying = IngestService(database, log, IngestOptions(), clock_us=Clock(), failpoint=crash)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        dying.handle([_message(1), _message(2)])
    # What was not acknowledged comes again, to the next process.
    assert [stored for _, stored in log.acknowledged] == ([2, 2] if step == "acknowledged" else [])
    service.handle([_message(1), _message(2), _message(3)])
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM reading") == {"n": 3}
        assert transaction.rows("SELECT * FROM sequence_gap") == []
    assert service._session.said[-1] == _confirmed(3)


def test_nothing_is_acknowledged_while_the_database_is_away(service: IngestService) -> None:
    service._committer._writer._database = Database(
        "postgresql://nobody@127.0.0.1:9/none", connect_timeout_s=1
    )
    service._refresh_directory(NOW_US)
    with pytest.raises(DatabaseUnavailableError):
        service.handle([_message(1)])
    assert service._session.acknowledged == []
    assert service._session.said == []


def test_a_message_that_the_database_cannot_take_is_refused_and_its_neighbours_are_stored(
    service: IngestService, database: Database
) -> None:
    with database.transaction() as transaction:
        transaction.execute("ALTER TABLE reading ADD CONSTRAINT poison CHECK (flow_m3h <> 13)")
    poison = {"ts": NOW_US // 1000, "flow": 13.0}
    service.handle([_message(1), _message(2, poison), _message(3)])
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM reading") == {"n": 2}
        (row,) = transaction.rows("SELECT payload, reasons FROM refusal")
    assert bytes(row["payload"]) == json.dumps(poison).encode()
    assert "poison" in row["reasons"][0]["reason"]
    assert [packet for packet, _ in service._session.acknowledged] == [1, 2, 3]


def test_a_fault_of_the_database_itself_refuses_nothing(service: IngestService, database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("ALTER TABLE reading RENAME TO reading_away")
    with pytest.raises(StorageError, match="does not exist"):
        service.handle([_message(1), _message(2)])
    assert service._session.acknowledged == []
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM refusal") == {"n": 0}


def test_a_redelivered_message_is_acknowledged_confirmed_and_leaves_no_work(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(1), _message(2)])
    service.handle([_message(1), _message(2)])
    assert service.figures["duplicates"] == 2
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM dirty_work") == {"n": 1}
    assert service._session.said[-1] == _confirmed(2)


class CutDuringCommit(Database):
    """A database whose connection is lost once, after the commit and before its answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.cut_next = False

    @contextmanager
    def transaction(self, *, repeatable_read: bool = False) -> Iterator[Transaction]:
        with super().transaction(repeatable_read=repeatable_read) as transaction:
            yield transaction
        if self.cut_next:
            self.cut_next = False
            msg = "connection lost during COMMIT"
            raise DatabaseUnavailableError(msg)


def test_a_commit_that_nobody_knows_of_is_repeated_without_harm(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(1)])
    service._committer._writer._database = cut = CutDuringCommit(database.url)
    cut.cut_next = True
    with pytest.raises(DatabaseUnavailableError):
        service.handle([_message(2), _message(5)])
    service.handle([_message(2), _message(5)])
    assert service.figures["duplicates"] == 2
    assert service._session.said[-1] == _confirmed(2)
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM refusal") == {"n": 0}
        assert transaction.rows("SELECT seq_from, seq_to FROM sequence_gap") == [{"seq_from": 3, "seq_to": 4}]
    cut.close()


def test_the_canary_counts_once_it_is_committed(service: IngestService, database: Database) -> None:
    service._keep_house()
    ((topic, payload),) = service._session.sent
    assert topic == "meterwarden/canary/meterwarden-ingest"
    assert service._canary.seen_us == 0
    service.handle([Delivery(1, NOW_US, [topic.encode()], [payload], [1])])
    with database.transaction() as transaction:
        assert transaction.row("SELECT identity, token FROM ingest_canary") == {
            "identity": "meterwarden-ingest",
            "token": service._canary.seen_us,
        }
        assert transaction.row("SELECT count(*) AS n FROM refusal") == {"n": 0}


def test_a_stored_canary_of_a_clock_that_was_ahead_gives_way_and_a_forged_one_is_not_stored(
    database: Database,
) -> None:
    service = IngestService(database, SessionLog(database), IngestOptions(), clock_us=lambda: NOW_US)  # type: ignore[arg-type]
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO ingest_canary VALUES ('meterwarden-ingest', %(token)s, %(sent)s, %(sent)s)",
            {"token": NOW_US + 3_600_000_000, "sent": to_datetime(NOW_US + 3_600_000_000)},
        )

    def stored_after(token: int) -> int:
        topic = b"meterwarden/canary/meterwarden-ingest"
        service.handle([Delivery(1, NOW_US, [topic], [b"%d" % token], [1])])
        with database.transaction() as transaction:
            (row,) = transaction.rows("SELECT token FROM ingest_canary")
        return int(row["token"])

    assert stored_after(NOW_US - 20_000_000) == NOW_US - 20_000_000
    assert stored_after(9_999_999_999_999_999) == NOW_US - 20_000_000
    assert stored_after(NOW_US - 30_000_000) == NOW_US - 20_000_000
    assert stored_after(NOW_US - 10_000_000) == NOW_US - 10_000_000


class Mute:
    """Stands in for a session whose thread died: it looks connected, and brings nothing."""

    connected, connected_since_us, backlog, epoch, expiry_s = True, NOW_US, 0, 1, 604_800

    def start(self, _subscriptions: Subscriptions) -> None: ...

    def stop(self) -> None: ...

    def take(self, _most: int, _timeout_s: float) -> list[Delivery]:
        return []

    def publish(self, _messages: Sequence[Outgoing]) -> None: ...

    def send(self, _topic: str, _payload: bytes) -> None: ...


def test_a_connection_that_only_looks_alive_ends_the_process(database: Database) -> None:
    service = IngestService(database, Mute(), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]
    with pytest.raises(SessionLostError, match="nothing comes through"):
        service.run(threading.Event())


def _beat(database: Database) -> dict[str, Any]:
    with database.transaction() as transaction:
        row = transaction.row("SELECT figures FROM service_heartbeat WHERE service = 'ingest'")
    assert row is not None
    return row["figures"]


def test_a_process_goes_on_counting_from_the_last_canary_of_the_one_before_it(database: Database) -> None:
    sent = to_datetime(NOW_US - 3_600_000_000)
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO ingest_canary VALUES ('meterwarden-ingest', %(token)s, %(sent)s, %(sent)s)",
            {"token": NOW_US - 3_600_000_000, "sent": sent},
        )
    service = IngestService(database, SessionLog(database), IngestOptions(), clock_us=lambda: NOW_US)  # type: ignore[arg-type]
    service._recall()
    service._keep_house()
    assert _beat(database)["backlog_age_s"] == 3_590.0
    ((topic, payload),) = service._session.sent
    service.handle([Delivery(1, NOW_US, [topic.encode()], [payload], [1])])
    assert service._canary.overdue_s(NOW_US) == 0.0


def test_the_heartbeat_carries_what_the_metrics_and_the_engine_read(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(1), _message(2)])
    service._keep_house()
    figures = _beat(database)
    assert (figures["messages"], figures["last_batch_messages"], figures["readings"]) == (2, 2, 2)
    assert (figures["share"], figures["session_expiry_s"], figures["connected"]) == (None, 604_800, True)
    assert 10_000_000 < figures["rss_bytes"] < 10_000_000_000


def test_the_figures_say_what_was_refused_and_why(service: IngestService) -> None:
    service.handle([_message(1), _message(2, b"no json"), _message(3, {"ts": "x", "flow": "y"})])
    assert service.figures["refused"] == 2
    found = {name: n for name, n in service.figures.items() if name.startswith("refused_")}
    assert found == {"refused_payload": 1, "refused_ts": 1, "refused_flow": 1}
    assert (service.figures["messages"], service.figures["batches"]) == (3, 1)
    assert service.figures["commit_us"] > 0


def test_a_status_that_no_database_can_hold_is_refused(service: IngestService, database: Database) -> None:
    payload = b'{"online":true,"firmware":"a\\u0000b"}'
    service.handle([Delivery(1, NOW_US, [b"gas/v1/north/M1/status"], [payload], [1])])
    with database.transaction() as transaction:
        (row,) = transaction.rows("SELECT reasons FROM refusal")
    assert row["reasons"] == [{"item": None, "field": "firmware", "reason": "holds a NUL"}]


def test_two_processes_with_one_meter_keep_one_account(service: IngestService, database: Database) -> None:
    other = IngestService(database, SessionLog(database), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]
    service.handle([_message(1)])
    other.handle([_message(2), _message(5)])
    service.handle([_message(6)])
    other.handle([_message(3), _message(4)])
    service.handle([_message(7)])
    with database.transaction() as transaction:
        assert transaction.rows("SELECT * FROM sequence_gap") == []
        assert transaction.row("SELECT count(*) AS n FROM refusal") == {"n": 0}
    assert service._session.said[-1] == _confirmed(7)


def test_nothing_is_confirmed_before_the_first_number_came(service: IngestService) -> None:
    service.handle([_message(5)])
    assert service._session.said == []


def test_a_repeated_reading_beside_a_new_one_is_no_work(service: IngestService, database: Database) -> None:
    service.handle([_message(1), _message(2)])
    service.handle([_message(2), _message(3)])
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT since FROM dirty_work ORDER BY dirty_work_id")
    assert [row["since"][0].microsecond // 1000 for row in rows] == [1, 3]


def test_a_database_that_only_reads_for_a_while_is_tried_again(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(1)])
    refused: list[str] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
            refused.append("waited")
            with database.session() as connection, connection.cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = off")
                cursor.execute(
                    "ALTER DATABASE " + connection.info.dbname + " RESET default_transaction_read_only"
                )
            service._committer._writer._database = Database(database.url)
            return False

    with database.session() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER DATABASE " + connection.info.dbname + " SET default_transaction_read_only = on")
    service._committer._writer._database = Database(database.url)
    service._persist(lambda: service.handle([_message(2)]), Impatient())
    assert refused == ["waited"]
    assert service.figures["readings"] == 2


def test_a_hole_that_an_operator_gives_up_holds_nothing_back(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(500)])
    assert service._session.said == []
    page = (Path(__file__).parents[3] / "docs" / "operation.md").read_text("utf-8")
    (statement,) = re.findall(r"`(DELETE FROM sequence_gap .*?)`", page)
    with database.transaction() as transaction:
        assert transaction.execute(statement.replace("boot = 7", "boot = 1")) == 1
    service.handle([_message(501)])
    assert service._session.said == [_confirmed(501)]


def test_progress_survives_a_restart(service: IngestService, database: Database) -> None:
    service.handle([_message(1), _message(4)])
    again = IngestService(database, SessionLog(database), IngestOptions(), clock_us=Clock())  # type: ignore[arg-type]
    again.handle([_message(3), _message(5)])
    with database.transaction() as transaction:
        assert transaction.rows("SELECT seq_from, seq_to FROM sequence_gap") == [{"seq_from": 2, "seq_to": 2}]
        assert transaction.rows("SELECT committed_through, highest FROM meter_sequence") == [
            {"committed_through": 1, "highest": 5}
        ]


class ClientLog:
    """Stands in for paho's client behind a real session."""

    def __init__(self) -> None:
        self.acks: list[int] = []

    def disconnect(self) -> None: ...

    def loop_stop(self) -> None: ...

    def acknowledge_all(self, packet_ids: Sequence[int]) -> None:
        self.acks += packet_ids


def test_an_acknowledgement_of_an_older_connection_never_reaches_the_broker() -> None:
    session = MqttSession("mqtt://127.0.0.1:9", "x")
    session._client = client = ClientLog()  # type: ignore[assignment]
    session._epoch, session._up = 2, True
    assert session.acknowledge([_message(1, epoch=1), _message(2, epoch=2)]) == 1
    assert client.acks == [2]


def test_nothing_is_acknowledged_once_the_session_was_stopped() -> None:
    session = MqttSession("mqtt://127.0.0.1:9", "x")
    session._client = client = ClientLog()  # type: ignore[assignment]
    session._epoch, session._up, session._started = 1, True, True
    session.stop()
    assert session.acknowledge([_message(1)]) == 0
    assert client.acks == []


def test_topics_that_the_broker_refuses_are_named() -> None:
    session = MqttSession("mqtt://127.0.0.1:9", "x")
    session._subscriptions = Subscriptions(("gas/v1/+/+/telemetry", "gas/v1/+/+/status", "spBv1.0/#"))
    granted, refused = (
        ReasonCode(PacketTypes.SUBACK, "Granted QoS 1"),
        ReasonCode(PacketTypes.SUBACK, identifier=0x87),
    )
    with capture_logs() as said:
        session._on_subscribe(None, None, 1, [granted, granted, refused], None)
    assert [line["topics"] for line in said] == [["spBv1.0/#"]]


def test_a_batch_that_had_to_wait_for_the_database_is_refused_once(
    service: IngestService, database: Database
) -> None:
    unknown = Delivery(
        1, NOW_US, [b"v1/gateway/telemetry", b"gas/v1/north/M1/status"], [b"no json"] * 2, [1, 2]
    )
    batch = service._decode([unknown, _message(3)])
    with database.transaction() as transaction:
        transaction.execute("ALTER TABLE reading RENAME TO reading_away")
    for _ in range(2):
        with pytest.raises(StorageError):
            service._committer.settle(batch)
    with database.transaction() as transaction:
        transaction.execute("ALTER TABLE reading_away RENAME TO reading")
    service._committer.settle(batch)
    with database.transaction() as transaction:
        assert transaction.row("SELECT count(*) AS n FROM refusal") == {"n": 2}
        assert transaction.row("SELECT count(*) AS n FROM reading") == {"n": 1}
    assert [packet for packet, _ in service._session.acknowledged] == [1, 2, 3]


def test_nothing_is_acknowledged_while_the_connection_is_down() -> None:
    session = MqttSession("mqtt://127.0.0.1:9", "x")
    session._client = client = ClientLog()  # type: ignore[assignment]
    session._epoch, session._up = 1, False
    assert session.acknowledge([_message(1)]) == 0
    assert client.acks == []


def test_work_left_for_the_engine_names_the_earliest_new_reading(
    service: IngestService, database: Database
) -> None:
    service.handle([_message(5), _message(2)])
    with database.transaction() as transaction:
        (work,) = transaction.rows("SELECT meter_keys, since FROM dirty_work")
    assert work == {"meter_keys": [1], "since": [datetime(2026, 11, 20, 4, 0, 0, 2000, tzinfo=UTC)]}


def test_the_name_of_an_ingest_process_belongs_to_one_and_survives_a_lost_connection(
    database: Database,
) -> None:
    first, second = Identity(database, "north"), Identity(database, "north")
    stop = threading.Event()
    assert first.wait(stop)
    assert first.is_held()
    with database.transaction() as transaction:
        transaction.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )
    # Nobody was faster: it takes the name again.
    assert first.is_held()
    stop.set()
    assert not second.wait(stop)
    first.release()
    assert second.is_held()
    assert not first.is_held()
    second.release()


def test_ingest_ends_when_another_process_took_its_name(database: Database) -> None:
    service = IngestService(database, SessionLog(database), IngestOptions(), is_ours=lambda: False)  # type: ignore[arg-type]
    with pytest.raises(IdentityLostError, match="took over"):
        service.run(threading.Event())


@pytest.mark.parametrize(
    ("topic", "payload", "most"), [(b"t", b"", 45_000), (b"t" * 60_000, b"", 150), (b"t", b"x" * 10_000, 900)]
)
def test_whatever_waits_in_memory_is_bounded(topic: bytes, payload: bytes, most: int) -> None:
    session = MqttSession("mqtt://127.0.0.1:9", "x")
    while not session._is_full():
        assert session.backlog <= most
        session._deliver([topic] * 50, [payload] * 50, [0] * 50)
    while session.take(1000, 0):
        pass
    assert not session._is_full()


def test_a_status_names_the_field_that_is_wrong_and_a_cleared_one_says_nothing(
    service: IngestService, database: Database
) -> None:
    payloads = [b"", b'{"online":"ja"}', b'{"online":true,"boot":-1}', b"no json"]
    service.handle([Delivery(1, NOW_US, [b"gas/v1/north/M1/status"] * 4, payloads, [1, 2, 3, 4])])
    with database.transaction() as transaction:
        rows = transaction.rows("SELECT reasons FROM refusal ORDER BY refusal_id")
    assert [row["reasons"][0]["field"] for row in rows] == ["online", "boot", "payload"]


def test_why_the_broker_cannot_be_reached_is_said() -> None:
    session = MqttSession("mqtts://127.0.0.1:9", "x")
    with capture_logs() as said:
        try:
            int("no number")
        except ValueError:
            session._on_connect_fail(None, None)
    assert "no number" in said[0]["error"]
