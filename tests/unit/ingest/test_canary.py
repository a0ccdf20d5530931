from ingest.canary import DEAD_AFTER_S, Canary, read_token

S_US = 1_000_000


def test_a_canary_flies_every_ten_seconds_and_again_after_a_clock_that_stepped_back():
    canary = Canary("north")
    sent = [at for at in range(100, 131) if canary.next_token(at * S_US)]
    assert sent == [100, 110, 120, 130]
    assert canary.next_token(7 * S_US) == 7 * S_US


def test_a_connection_that_brings_nothing_for_a_minute_is_dead():
    canary = Canary("north")
    for _ in range(int(DEAD_AFTER_S)):
        canary.waited(1.0)
    assert not canary.is_dead
    canary.waited(0.2)
    assert canary.is_dead
    canary.heard()
    assert not canary.is_dead


def test_only_a_token_is_a_token():
    assert read_token(b"1700000000000000") == 1_700_000_000_000_000
    assert [read_token(payload) for payload in (b"", b"x", b"-5", b"1" * 17, b"1.5")] == [None] * 5


def test_a_canary_that_comes_back_tells_how_long_it_took_and_that_nothing_waits():
    canary = Canary("north", started_us=95 * S_US)
    canary.next_token(100 * S_US)
    canary.came_back(100 * S_US, 103 * S_US)
    assert canary.round_trip_us == 3 * S_US
    assert canary.overdue_s(110 * S_US) == 0.0
    assert canary.overdue_s(110 * S_US + 400_000) == 0.4


def test_readings_may_be_waiting_for_as_long_as_the_next_canary_is_overdue():
    canary = Canary("north", started_us=95 * S_US)
    assert canary.overdue_s(100 * S_US) == 0.0
    assert canary.overdue_s(165 * S_US) == 60.0
    for at in (100, 110, 120):
        canary.next_token(at * S_US)
    canary.came_back(100 * S_US, 150 * S_US)
    assert canary.overdue_s(150 * S_US) == 40.0


def test_after_an_absence_it_counts_from_the_last_one_that_came_back():
    canary = Canary("north", started_us=3_700 * S_US, seen_us=100 * S_US)
    assert canary.overdue_s(3_710 * S_US) == 3_600.0


def test_a_token_that_was_never_sent_hides_no_backlog():
    canary = Canary("north")
    canary.next_token(100 * S_US)
    canary.came_back(9_999_999_999_999_999, 101 * S_US)
    canary.came_back(100 * S_US, 102 * S_US)
    canary.came_back(90 * S_US, 103 * S_US)
    assert (canary.seen_us, canary.round_trip_us) == (100 * S_US, 2 * S_US)


def test_a_clock_that_was_put_back_makes_no_negative_times():
    canary = Canary("north")
    canary.next_token(100 * S_US)
    canary.came_back(100 * S_US, 40 * S_US)
    assert (canary.round_trip_us, canary.overdue_s(40 * S_US)) == (0, 0.0)


def test_a_clock_that_was_ahead_for_a_while_hides_no_dead_path_once_it_is_put_right():
    canary = Canary("north", started_us=3_690 * S_US)
    canary.next_token(3_700 * S_US)
    canary.came_back(3_700 * S_US, 3_701 * S_US)
    assert canary.next_token(100 * S_US) == 100 * S_US
    assert canary.overdue_s(160 * S_US) == 50.0
    canary.next_token(160 * S_US)
    canary.came_back(160 * S_US, 161 * S_US)
    assert (canary.seen_us, canary.overdue_s(171 * S_US)) == (160 * S_US, 1.0)


def test_a_process_that_began_while_the_clock_was_ahead_misses_its_first_canary_all_the_same():
    canary = Canary("north", started_us=3_700 * S_US)
    assert canary.overdue_s(100 * S_US) == 0.0
    assert canary.overdue_s(130 * S_US) == 20.0


def test_a_token_from_the_future_counts_for_nothing_after_the_clock_was_put_back():
    canary = Canary("north")
    canary.next_token(3_700 * S_US)
    canary.next_token(100 * S_US)
    canary.came_back(3_700 * S_US, 101 * S_US)
    assert canary.seen_us == 0
