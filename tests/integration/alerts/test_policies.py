"""The engine follows the policies in the database: from the next evaluation on, and not before."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from alerts.engine import Engine
from storage.exceptions import RejectedDataError, StorageError
from storage.policies import append_policy, valid_policies, versions_ahead

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def say(story):
    """Add a version of a policy document."""

    def say(name, text, at, valid_from=None):
        with story.database.transaction() as transaction:
            return append_policy(transaction, name, text, "test", at, valid_from or at)

    return say


@pytest.fixture
def prepaid(story, make_meter) -> dict[str, int]:
    """Two prepaid meters without a low balance of their own, one in each company."""
    fields = {"prepaid": True, "balance_unit": "CNY"}
    return story.register(make_meter("M1", **fields), make_meter("M2", company="south", **fields))


def origins(story, check: str) -> list[tuple]:
    return [(a["meter_key"], a["limit_value"], a["limit_origin"]) for a in story.alarms(check)]


def test_without_a_version_the_defaults_count(story, prepaid, now):
    story.arrive(prepaid["M1"], now, MINUTE, balance=[250.0, 150.0])
    Engine(story.database).run_once(now + HOUR)
    assert origins(story, "balance_low") == [(prepaid["M1"], 200.0, "default")]
    [entry] = story.ask("SELECT event, limit_origin FROM alarm_journal")
    assert (entry["event"], entry["limit_origin"]) == ("raise", "default")


def test_a_companys_policy_is_for_its_meters(story, prepaid, say, now):
    say("north", "[company.north]\nlow_balance = { CNY = 300 }\n", now)
    for key in prepaid.values():
        story.arrive(key, now, MINUTE, balance=[400.0, 250.0])
    engine = Engine(story.database)
    engine.run_once(now + HOUR)
    engine.run_once(now + HOUR)
    assert origins(story, "balance_low") == [(prepaid["M1"], 300.0, "company")]


def test_a_new_version_counts_from_the_next_evaluation_on_and_ends_what_it_no_longer_finds(
    story, prepaid, say, now
):
    engine = Engine(story.database)
    story.arrive(prepaid["M1"], now, MINUTE, balance=[150.0])
    engine.run_once(now + 2 * MINUTE)
    say("default", "[default]\nlow_balance = { CNY = 100 }\n", now + 3 * MINUTE)
    [alarm] = story.alarms("balance_low")
    assert alarm["state"] == "active_unacked"
    # Nothing came since: nothing is evaluated.
    engine.run_once(now + 4 * MINUTE)
    assert story.alarms("balance_low") == [alarm]
    story.arrive(prepaid["M1"], now + 5 * MINUTE, MINUTE, balance=[149.0])
    engine.run_once(now + 6 * MINUTE)
    [alarm] = story.alarms("balance_low")
    assert (alarm["state"], alarm["ended_at"]) == ("cleared_unacked", now + 5 * MINUTE)


def test_what_goes_on_under_the_new_version_keeps_its_onset_and_says_whose_limit_it_is_now(
    story, prepaid, say, now
):
    engine = Engine(story.database)
    story.arrive(prepaid["M1"], now, MINUTE, balance=[150.0])
    engine.run_once(now + MINUTE)
    say("north", "[company.north]\nlow_balance = { CNY = 160 }\n", now + 2 * MINUTE)
    story.arrive(prepaid["M1"], now + 3 * MINUTE, MINUTE, balance=[140.0])
    engine.run_once(now + 4 * MINUTE)
    [alarm] = story.alarms("balance_low")
    assert (alarm["onset_at"], alarm["limit_value"], alarm["limit_origin"]) == (now, 160.0, "company")


def test_the_clocks_checks_follow_at_once(story, make_meter, say, now):
    story.register(
        make_meter("M1", installed_on=(now - timedelta(days=400)).date(), battery_type="lithium_3v6")
    )
    engine = Engine(story.database)
    engine.run_clock(now)
    assert story.alarms() == []
    say("default", "[battery.lithium_3v6]\nlife_days = 365\n", now + MINUTE)
    engine.run_clock(now + 2 * MINUTE)
    assert [(a["check_code"], a["limit_origin"]) for a in story.alarms()] == [("battery_overdue", "model")]
    say("default", "", now + 3 * MINUTE)
    engine.run_clock(now + 4 * MINUTE)
    assert [a["state"] for a in story.alarms()] == ["cleared_unacked"]


def test_a_gap_says_whose_patience_is_over(story, one_meter, say, now):
    say("north", "[company.north]\ngap_open_after_s = 60\n", now)
    with story.database.transaction() as transaction:
        gap = {"key": one_meter, "at": now}
        transaction.execute("INSERT INTO sequence_gap VALUES (%(key)s, 1, 5, 9, %(at)s)", gap)
    Engine(story.database).run_clock(now + 2 * MINUTE)
    [alarm] = story.alarms("data_gap")
    assert (alarm["limit_value"], alarm["limit_origin"]) == (60.0, "company")


def test_a_version_may_wait_for_its_day_and_the_last_written_of_one_day_counts(story, prepaid, say, now):
    tomorrow = now + timedelta(days=1)
    say("default", "[default]\nlow_balance = { CNY = 100 }\n", now)
    say("default", "[default]\nlow_balance = { CNY = 500 }\n", now, tomorrow)
    later = say("default", "[default]\nlow_balance = { CNY = 400 }\n", now + HOUR, tomorrow)
    engine = Engine(story.database)
    story.arrive(prepaid["M1"], now, MINUTE, balance=[300.0])
    engine.run_once(now + HOUR)
    assert story.alarms("balance_low") == []
    story.arrive(prepaid["M1"], tomorrow, MINUTE, balance=[300.0])
    engine.run_once(tomorrow + HOUR)
    assert [limit for _, limit, _ in origins(story, "balance_low")] == [400.0]
    with story.database.transaction() as transaction:
        assert len(versions_ahead(transaction, "default", now)) == 2
        assert valid_policies(transaction, tomorrow) == {"default": later}


def test_a_document_that_cannot_be_read_is_logged_and_the_others_count(story, prepaid, say, now, caplog):
    say("default", "[default]\nno_such_limit = 3\n", now)
    say("north", "[company.north]\nlow_balance = { CNY = 300 }\n", now)
    story.arrive(prepaid["M1"], now, MINUTE, balance=[250.0])
    with caplog.at_level(logging.ERROR):
        Engine(story.database).run_once(now + HOUR)
    assert origins(story, "balance_low") == [(prepaid["M1"], 300.0, "company")]
    assert "[default] no_such_limit: is no limit of a policy" in caplog.text


@pytest.mark.parametrize("statement", ["UPDATE policy SET document = ''", "DELETE FROM policy"])
def test_versions_are_never_changed(story, say, now, statement):
    say("default", "", now)
    with pytest.raises((StorageError, RejectedDataError)), story.database.transaction() as transaction:
        transaction.execute(statement)
