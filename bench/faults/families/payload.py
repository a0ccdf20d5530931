"""Bad messages, and bytes that are no MQTT."""

from __future__ import annotations

import json
import random
import socket
import time
from contextlib import suppress

from bench.faults.content import Key
from bench.faults.fault import Fault
from bench.faults.names import FORGETFUL
from bench.faults.stage import Stage
from bench.ingest.raw_mqtt import packet

_ROUNDS = 4
_STORED_S = 20.0
_CONNECTIONS = 150
_LONGEST = 400
_ANSWER_S = 0.02
_DEEP = 5000
_HUGE = 400_000
_CONNECT = packet(0x10, b"\0\4MQTT\5\2\0\x3c\0\0\4fuzz")
_CONNECT_V3 = packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\4fuzz")
#: Valid packets, in which single bytes are changed. Their topics are nobody's.
_SEEDS = (
    _CONNECT,
    _CONNECT_V3,
    packet(0x32, b"\0\5fuzz/\0\7\0payload"),
    packet(0x34, b"\0\5fuzz/\0\7\0payload"),
    packet(0x82, b"\0\1\0\0\5fuzz/\1"),
    packet(0x62, b"\0\7"),
    packet(0x40, b"\0\7"),
    packet(0xC0, b""),
    packet(0xE0, b""),
    # A topic that is no UTF-8, in the meters' own tree.
    packet(0x32, b"\0\x12gas/v1/north/\xff\xfe/t\0\7\0{}"),
)


def bad_payloads(rng: random.Random, now_ms: int) -> list[tuple[bytes, str]]:
    """Make one payload of every kind that has to be refused, with the field to be named; none twice."""
    tag, ts = rng.randrange(10**12), f'"ts":{now_ms},"tag":%d' % rng.randrange(10**12)
    return [
        (b'{"tag":%d,"flow":' % tag, "payload"),
        (b"[" * _DEEP + b"%d" % tag, "payload"),
        (b'{"deep":' + b"[" * _DEEP + b"]" * _DEEP + b',"tag":%d}' % tag, "payload"),
        (b"\xff\xfe{%d}" % tag, "payload"),
        (b"%d" % tag, "payload"),
        (b"\0\0%d" % tag, "payload"),
        (b" " * _HUGE + b"{%d" % tag, "payload"),
        (f"{{{ts}}}".encode(), "payload"),
        (f'{{{ts},"flow":NaN}}'.encode(), "flow"),
        (f'{{{ts},"flow":-Infinity}}'.encode(), "flow"),
        (f'{{{ts},"flow":1e999}}'.encode(), "flow"),
        (f'{{{ts},"flow":1e300}}'.encode(), "flow"),
        (f'{{{ts},"flow":"12"}}'.encode(), "flow"),
        (f'{{{ts},"flow":true}}'.encode(), "flow"),
        (f'{{{ts},"flow":1.0,"valve":"ajar"}}'.encode(), "valve"),
        (f'{{{ts},"flow":1.0,"status":"x"}}'.encode(), "status"),
        (f'{{{ts},"flow":1.0,"seq":-1}}'.encode(), "seq"),
        (f'{{{ts},"flow":1.0,"boot":0.5}}'.encode(), "boot"),
        (f'{{{ts},"flow":1.0,"meter":"another"}}'.encode(), "meter"),
        (f'{{"ts":"yesterday","flow":1.0,"tag":{tag}}}'.encode(), "ts"),
        (f'{{"flow":1.0,"tag":{tag}}}'.encode(), "ts"),
    ]


def _malformed(stage: Stage, rng: random.Random) -> None:
    """Mix bad messages with good ones, and bad readings with good neighbours in one array."""
    meters = stage.load.forgetful
    for _ in range(_ROUNDS):
        bad = bad_payloads(rng, time.time_ns() // 1_000_000)
        rng.shuffle(bad)
        for payload, field in bad:
            stage.ledger.expect_refusal(payload, field)
            meters.publish_raw(rng.choice(FORGETFUL), payload)
            meters.publish(1)
        _publish_mixed(stage, rng.choice(FORGETFUL))
    last = meters.publish(1)
    stage.until(lambda: stage.is_stored(last), _STORED_S, "a good reading behind all the bad ones is stored")


def _publish_mixed(stage: Stage, meter_id: str) -> None:
    """Send three readings in one array, of which the second is bad."""
    meters = stage.load.forgetful
    records: list[dict[str, object]] = [dict(meters.record(meter_id)) for _ in range(3)]
    good = [Key(meter_id, stage.load.boot, int(str(records[at]["seq"]))) for at in (0, 2)]
    records[1]["flow"] = "much"
    payload = json.dumps(records).encode()
    stage.ledger.expect_refusal(payload, "flow", good)
    meters.publish_raw(meter_id, payload)


def _fuzzed(stage: Stage, rng: random.Random) -> None:
    """Throw noise and slightly wrong packets at the broker."""
    connections = stage.connections()
    for _ in range(_CONNECTIONS):
        with suppress(OSError):
            _throw(stage.broker.port, _noise(rng))
    stage.expect(stage.broker.runs, "the broker lives")
    stage.expect(stage.connections() == connections, "ingest's connection is not touched")


def _noise(rng: random.Random) -> bytes:
    if rng.random() < 0.2:  # noqa: PLR2004 (a fifth)
        return rng.randbytes(rng.randrange(1, _LONGEST))
    sent = bytearray(_CONNECT if rng.random() < 0.7 else b"")  # noqa: PLR2004 (most are let in)
    for _ in range(rng.randint(1, 4)):
        one = bytearray(rng.choice(_SEEDS))
        for _ in range(rng.randint(0, 3)):
            one[rng.randrange(len(one))] = rng.randrange(256)
        sent += one
    return bytes(sent)


def _throw(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.settimeout(_ANSWER_S)
        connection.sendall(data)
        with suppress(TimeoutError):
            while connection.recv(4096):
                pass


FAULTS = (
    Fault(
        name="malformed",
        rows=(19,),
        does="broken JSON, NaN, deep nesting, huge and wrong values, no UTF-8, among good readings",
        promises="each refused for its field and kept whole; no neighbour lost; ingest lives",
        run=_malformed,
    ),
    Fault(
        name="fuzzed_packets",
        rows=(20,),
        does="noise and slightly wrong MQTT packets for the broker, a topic that is no UTF-8 among them",
        promises="the broker lives, and ingest's connection is not touched",
        run=_fuzzed,
    ),
)
