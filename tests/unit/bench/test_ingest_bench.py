"""The pure parts of the ingest bench: what is published, and what is made of the numbers."""

from __future__ import annotations

import json

import pytest

from bench.ingest.raw_mqtt import packet
from bench.ingest.results import arrays_goal, medians, ratios, report, table, to_json
from bench.ingest.workload import METERS, Workload

RAW = {
    "wire": [100.0, 120.0, 80.0],
    "paho": [20.0, 10.0, 30.0],
    "usual": [10.0, 10.0, 10.0],
    "meterwarden": [60.0, 90.0, 70.0],
    "arrays": [900.0, 1000.0, 1100.0],
    "bare_copy": [4000.0, 3000.0, 5000.0],
}
MEMORY = {"rss_mb": [90.0, 101.26, 95.0], "rss_backlog_mb": []}


def test_medians_stand_for_the_runs_and_ratios_are_those_of_medians() -> None:
    middle = medians(RAW)
    assert middle["meterwarden"] == 70.0
    assert ratios(middle) == {"wire": 0.7, "paho": 3.5, "usual": 7.0}


def test_the_goal_of_arrays_is_the_lower_of_the_two() -> None:
    assert arrays_goal({"bare_copy": 4000.0}) == 2000.0
    assert arrays_goal({"bare_copy": 1e6}) == 150_000.0


def test_the_report_has_the_medians_the_highest_memory_and_every_run() -> None:
    found = json.loads(to_json(report(5, 3, RAW, MEMORY)))
    assert {name: found[name] for name in ("n", "wire", "usual", "bare_copy", "rss_mb")} == {
        "n": 5, "wire": 100, "usual": 10, "bare_copy": 4000, "rss_mb": 101.3,
    }  # fmt: skip
    assert found["runs"]["meterwarden"] == [60, 90, 70]
    assert "rss_backlog_mb" not in found


def test_the_table_says_what_was_not_reached() -> None:
    lines = table(RAW | {"meterwarden": [40.0]}, MEMORY).splitlines()
    (wire,) = (line for line in lines if line.startswith("meterwarden / wire"))
    assert wire.endswith("NOT REACHED")
    assert not any(line.startswith("pathway") for line in lines)


@pytest.mark.parametrize("per_message", [1, 3])
def test_what_is_published_is_what_is_copied(per_message: int) -> None:
    workload = Workload(messages=METERS + 7, readings_per_message=per_message, now_ms=10**12)
    sent = [
        reading
        for _, payload in workload.publications()
        for found in [json.loads(payload)]
        for reading in (found if isinstance(found, list) else [found])
    ]
    keys = {number: number for number in range(METERS)}
    copied = list(workload.batches(keys, 1000))
    assert [r["ts"] * 1000 for r in sent] == [at for b in copied for at in b.device_time_us.tolist()]
    assert [r["volume"] for r in sent] == [at for b in copied for at in b.volume_m3.tolist()]
    assert len(
        {(k, s) for b in copied for k, s in zip(b.meter_key.tolist(), b.seq.tolist(), strict=True)}
    ) == (len(sent))
    assert workload.last == (6, sent[-1]["seq"], sent[-1]["ts"])
    assert max(r["ts"] for r in sent) < workload.now_ms


def test_a_packet_of_more_than_127_bytes_has_a_longer_length() -> None:
    assert packet(0xE0, b"") == b"\xe0\0"
    assert packet(0x32, bytes(200))[:3] == b"\x32\xc8\x01"
