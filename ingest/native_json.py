"""Decoder of the native JSON: bytes in, readings and reasons out; pure, never raises on bad input.

A payload is one object or an array of them. The fast way is one typed decode of the whole
payload. Whatever that refuses is taken apart a second time, leniently and field by field, so that
every reason is found and a bad reading does not take its neighbours along.
"""

from __future__ import annotations

import msgspec

from ingest.json_text import load
from ingest.rules import Decoded, WireReading, accept, refuse, take

FAST = msgspec.json.Decoder(WireReading | list[WireReading])
#: What `FAST.decode` may raise.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode(payload: bytes) -> Decoded:
    """Decode a payload of the topic `telemetry`."""
    try:
        found = FAST.decode(payload)
    except DECODE_ERRORS:
        return _decode_leniently(payload)
    readings = found if isinstance(found, list) else [found]
    decoded = Decoded()
    if not readings:
        refuse(decoded, None, [("payload", "holds no reading")])
    for item, reading in enumerate(readings):
        accept(decoded, item, reading)
    return decoded


def _decode_leniently(payload: bytes) -> Decoded:
    decoded = Decoded()
    found, wrong = load(payload)
    if wrong is None and not isinstance(found, dict | list):
        wrong = "is neither an object nor an array of objects"
    if wrong is None and found == []:
        wrong = "holds no reading"
    if wrong is not None:
        refuse(decoded, None, [("payload", wrong)])
        return decoded
    for item, value in enumerate(found if isinstance(found, list) else [found]):
        take(decoded, item, value)
    return decoded
