"""Several ingest processes share the telemetry of one broker, each under its own name."""

from __future__ import annotations

import pytest

from ingest.service import IngestService
from storage.database import Database
from tests.integration.ingest.running import Publisher, count, ingesting, reading, until


def _listens(service: IngestService) -> bool:
    """Tell whether the broker has taken all that the process asked for: its canary went behind it."""
    return service._canary.seen_us > 0


def test_two_of_a_group_take_part_and_everything_is_stored_once(
    registered: Database, broker: tuple[str, int]
) -> None:
    with (
        ingesting(registered, *broker, identity="north", share="city") as north,
        ingesting(registered, *broker, identity="south", share="city") as south,
    ):
        until(lambda: _listens(north) and _listens(south))
        meter = Publisher(*broker)
        for seq in range(1, 201):
            meter.publish(reading(seq))
        until(lambda: {"boot": 7, "seq": 200} in meter.confirmed)
        meter.close()
    assert count(registered, "reading") == 200
    taken = [north.figures["readings"], south.figures["readings"]]
    assert sum(taken) == 200
    assert min(taken) > 0
    assert north.figures["duplicates"] + south.figures["duplicates"] == 0
    with registered.transaction() as transaction:
        beats = transaction.rows("SELECT instance, figures FROM service_heartbeat ORDER BY instance")
    assert [(row["instance"], row["figures"]["share"]) for row in beats] == [
        ("north", "city"),
        ("south", "city"),
    ]


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", [5, 3])
def test_the_share_of_a_member_that_is_away_waits_until_it_returns(
    registered: Database, mosquitto_url: str, version: int
) -> None:
    broker = (mosquitto_url, version)
    with ingesting(registered, *broker, identity="north", share="city") as north:
        with ingesting(registered, *broker, identity="south", share="city") as south:
            until(lambda: _listens(north) and _listens(south))
        meter = Publisher(*broker)
        for seq in range(1, 41):
            meter.publish(reading(seq))
        until(lambda: count(registered, "reading") == 20)
        with ingesting(registered, *broker, identity="south", share="city"):
            until(lambda: {"boot": 7, "seq": 40} in meter.confirmed)
        meter.close()
    assert count(registered, "reading") == 40
    assert count(registered, "sequence_gap") == 0


@pytest.mark.mosquitto
def test_a_process_that_joins_changes_and_leaves_a_group_gets_nothing_twice(
    registered: Database, mosquitto_url: str
) -> None:
    # Not in MQTT 3.1.1, where Mosquitto itself leaves out what would come twice. Not on the embedded
    # broker, which ignores UNSUBSCRIBE in a session that was taken up again; it forgets all sessions
    # with the process that it runs in.
    broker = (mosquitto_url, 5)
    meter = Publisher(*broker)
    for step, share in enumerate([None, "city", "county", None], start=1):
        with ingesting(registered, *broker, identity="north", share=share) as north:
            until(lambda north=north: _listens(north))
            for seq in range(10 * step - 9, 10 * step + 1):
                meter.publish(reading(seq))
            meter.publish({"online": True, "boot": step}, "gas/v1/north/M1/status")
            until(lambda step=step: _boot_said(registered) == step)
        assert (north.figures["readings"], north.figures["duplicates"]) == (10, 0)
    meter.close()


def _boot_said(database: Database) -> int | None:
    with database.transaction() as transaction:
        row = transaction.row("SELECT boot FROM meter_connection")
    return row and row["boot"]


def test_every_member_takes_the_status_of_meters_because_it_is_retained(
    registered: Database, broker: tuple[str, int]
) -> None:
    meter = Publisher(*broker)
    meter.publish({"online": True, "boot": 3}, "gas/v1/north/M1/status", retain=True)
    with ingesting(registered, *broker, identity="north", share="city"):
        until(lambda: _boot_said(registered) == 3)
    meter.close()
