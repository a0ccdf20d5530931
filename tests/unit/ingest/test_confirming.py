import json

from ingest.confirming import Confirmer

ADDRESSES = {11: ("north", "M1"), 12: ("south", "M2")}
S_US = 1_000_000


def said(words):
    return [(topic.decode(), json.loads(payload)) for topic, payload in words]


def test_many_commits_are_one_word_per_boot():
    confirmer = Confirmer()
    for seq in (3, 4, 9):
        confirmer.note({(11, 7): seq, (12, 1): seq})
    confirmer.note({(11, 8): 1})
    assert said(confirmer.take(100 * S_US, ADDRESSES)) == [
        ("gas/v1/north/M1/confirm", {"boot": 7, "seq": 9}),
        ("gas/v1/south/M2/confirm", {"boot": 1, "seq": 9}),
        ("gas/v1/north/M1/confirm", {"boot": 8, "seq": 1}),
    ]


def test_words_come_once_a_second_and_the_last_one_at_once():
    confirmer = Confirmer()
    confirmer.note({(11, 7): 1})
    assert len(confirmer.take(100 * S_US, ADDRESSES)) == 1
    confirmer.note({(11, 7): 2})
    assert confirmer.take(100 * S_US + 999_999, ADDRESSES) == []
    assert len(confirmer.take(101 * S_US, ADDRESSES)) == 1
    confirmer.note({(11, 7): 3})
    assert len(confirmer.take(101 * S_US, ADDRESSES, at_once=True)) == 1
    # A clock that steps back keeps nobody waiting.
    confirmer.note({(11, 7): 4})
    assert len(confirmer.take(1, ADDRESSES)) == 1


def test_a_meter_that_left_the_registry_hears_nothing():
    confirmer = Confirmer()
    confirmer.note({(99, 7): 1})
    assert confirmer.take(S_US, ADDRESSES) == []
