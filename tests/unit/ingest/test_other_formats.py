"""Other formats beside the native one, as far as topics decide."""

from ingest.admission import TimeWindow
from ingest.delivery import Messages
from ingest.directory import Directory
from ingest.formats.sparkplug import SparkplugDecoder
from ingest.intake import take_in

NOW_US = 1_795_147_200_000_000


def test_a_sparkplug_topic_that_is_no_text_is_refused_and_nobody_is_asked_for_births():
    # As text with escapes it was longer than a topic may be, and publishing the request ended the process.
    topic = b"spBv1.0/" + b"\xff" * 60_000 + b"/NDATA/edge"
    messages = Messages([topic], [b"\x18\x05"], [NOW_US])
    batch = take_in(messages, Directory(), TimeWindow.around(NOW_US, 90), b"canary", SparkplugDecoder())
    assert batch.requests == []
    assert [(r.reasons[0].field, r.reasons[0].reason) for r in batch.refusals] == [("topic", "is not UTF-8")]
