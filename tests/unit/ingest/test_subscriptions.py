"""What a process subscribes to, and what it gives up when the setting changes."""

from ingest.subscriptions import choose

PLAIN = ("gas/v1/+/+/telemetry", "v1/gateway/telemetry")
SHARED = tuple(f"$share/city/{name}" for name in PLAIN)
WHOLE = ("gas/v1/+/+/status", "spBv1.0/#", "meterwarden/canary/north")


def test_alone_it_takes_everything_and_gives_up_nothing():
    chosen = choose("north", None)
    assert chosen.wanted == (*PLAIN, *WHOLE)
    assert chosen.unwanted == ()


def test_in_a_group_only_messages_that_stand_for_themselves_are_shared():
    assert choose("north", "city").wanted == (*SHARED, *WHOLE)


def test_one_that_joins_a_group_gives_up_what_it_had_alone_though_nobody_noted_it():
    assert choose("north", "city").unwanted == PLAIN


def test_one_that_changes_the_group_gives_up_both_former_ways():
    held = [*PLAIN, *WHOLE, "$share/county/gas/v1/+/+/telemetry"]
    assert choose("north", "city", held).unwanted == ("$share/county/gas/v1/+/+/telemetry", *PLAIN)


def test_one_that_leaves_the_group_gives_up_its_share():
    assert choose("north", None, [*SHARED, *PLAIN, *WHOLE]).unwanted == SHARED
