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
