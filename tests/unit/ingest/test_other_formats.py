"""Other formats beside the native one, as far as topics decide."""

import json

from ingest.admission import TimeWindow
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.intake import begin, finish

NOW_US = 1_795_147_200_000_000


def _begun(messages):
    return begin(messages, Directory(), TimeWindow.around(NOW_US, 90), b"canary")


def test_a_sparkplug_topic_that_is_no_text_is_refused_and_nobody_is_asked_for_births():
    # As text with escapes it was longer than a topic may be, and publishing the request ended the process.
    topic = b"spBv1.0/" + b"\xff" * 60_000 + b"/NDATA/edge"
    messages = Messages([topic], [b"\x18\x05"], [NOW_US])
    batch = finish(_begun(messages), SparkplugDecoder())
    assert batch.requests == []
    assert [(r.reasons[0].field, r.reasons[0].reason) for r in batch.refusals] == [("topic", "is not UTF-8")]


def test_a_message_is_kept_once_whatever_number_of_devices_is_refused():
    payload = json.dumps({f"G{number}": [{"flow": 1}] * 2 for number in range(500)}).encode()
    messages = Messages([b"v1/gateway/telemetry"], [payload], [NOW_US])
    batch = finish(_begun(messages), SparkplugDecoder())
    (refusal,) = batch.refusals
    assert (refusal.payload, refusal.readings) == (payload, 1000)
    assert len(refusal.reasons) == 101
    assert refusal.reasons[0].reason == "G0 is not registered"


def test_what_nobody_foresaw_in_one_message_is_refused():
    class Broken(SparkplugDecoder):
        def decode(self, *_):
            raise ZeroDivisionError

    messages = Messages([b"spBv1.0/g/NDATA/e"], [b"x"], [NOW_US])
    batch = finish(_begun(messages), Broken())
    assert [r.reasons[0].reason for r in batch.refusals] == ["cannot be examined: ZeroDivisionError"]
