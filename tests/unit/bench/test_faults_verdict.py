"""The checker and the report of the fault harness, on hand-made examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.faults.catalogue import FAULTS, choose
from bench.faults.check import Window, check_readings, check_refusals
from bench.faults.content import Key, Reading, readings_of, telemetry_of
from bench.faults.ledger import Bad, Ledger, Sent
from bench.faults.outcome import Outcome
from bench.faults.report import report, table, to_json

WINDOW = Window(100.0, 200.0)
TOPIC = "gas/v1/north/F01/telemetry"


def reading(seq: int, *, flow: float = 2.0, meter: str = "F01") -> Reading:
    return Reading(Key(meter, 1, seq), 1000 * seq, flow, 10.5)


def sent(seq: int, acked_at_s: float | None, *, buffered: bool = False) -> Sent:
    return Sent(reading(seq), buffered, acked_at_s)


def test_what_the_broker_took_and_nobody_stored_is_lost() -> None:
    verdict = check_readings([sent(1, 50.0), sent(2, 50.0), sent(3, None)], [reading(1)], [WINDOW])
    assert verdict.lost == [str(Key("F01", 1, 2))]
    assert verdict.broker_lost == []


def test_only_a_forgetful_meter_is_excused_and_only_inside_the_window() -> None:
    verdict = check_readings([sent(1, 150.0), sent(2, 201.0), sent(3, 150.0, buffered=True)], [], [WINDOW])
    assert verdict.broker_lost == [str(Key("F01", 1, 1))]
    assert verdict.lost == [str(Key("F01", 1, 2)), str(Key("F01", 1, 3))]


def test_twice_stored_and_otherwise_stored_is_doubled() -> None:
    rows = [reading(1), reading(1), reading(2, flow=3.0), reading(9)]
    verdict = check_readings([sent(1, 1.0), sent(2, 1.0)], rows, [])
    assert len(verdict.doubled) == 3
    assert verdict.lost == []


def test_a_bad_message_is_refused_for_its_field_and_a_good_one_never() -> None:
    bad = [
        Bad(b"a", "flow", frozenset(), 1.0),
        Bad(b"b", "ts", frozenset(), 1.0),
        Bad(b"c", "ts", frozenset(), 1.0),
        Bad(b"d", "ts", frozenset(), 150.0),
        Bad(b"e", "ts", frozenset(), None),
    ]
    kept = [
        (b"a", [{"field": "flow"}, {"field": "ts"}]),
        (b"b", [{"field": "flow"}]),
        (b"good", [{"field": "ts"}]),
    ]
    verdict = check_refusals(bad, kept, [WINDOW])
    assert verdict.lost == ["b'c'"]
    assert verdict.broker_lost == ["b'd'"]
    assert verdict.misjudged == [
        "refused although in order: b'good'",
        "refused for flow instead of ts: b'b'",
    ]


def test_only_whole_readings_of_the_contract_are_read() -> None:
    payload = b'[{"ts":1000,"boot":1,"seq":1,"flow":2.0,"volume":10.5},{"ts":"x"},7]'
    assert readings_of("F01", payload) == [reading(1)]
    assert readings_of("F01", b"[" * 100_000) == readings_of("F01", b"\xff") == []
    assert telemetry_of(TOPIC.encode()) == "F01"
    assert telemetry_of(b"gas/v1/north/F01/status") is None


def test_the_ledger_survives_in_a_file_and_counts_only_a_true_acknowledgement(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    payload = b'{"ts":1000,"boot":1,"seq":1,"flow":2.0,"volume":10.5}'
    ledger.send(TOPIC, payload, buffered=False)
    ledger.acknowledge(TOPIC, payload, 0x10)
    assert not ledger.acked([Key("F01", 1, 1)])
    ledger.acknowledge(TOPIC, payload, 0)
    assert ledger.acked([Key("F01", 1, 1)])
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [(line["said"], line.get("reason")) for line in lines] == [
        ("sent", None),
        ("acked", 16),
        ("acked", 0),
    ]
    ledger.close()


def test_of_a_bad_message_only_its_good_readings_are_expected(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    payload = json.dumps([
        {"ts": 1000 * seq, "boot": 1, "seq": seq, "flow": 2.0, "volume": 10.5} for seq in (1, 2)
    ]).encode()  # fmt: skip
    ledger.expect_refusal(payload, "ts", [Key("F01", 1, 2)])
    assert ledger.all_bad() == []
    ledger.send(TOPIC, payload, buffered=False)
    assert [item.reading.key.seq for item in ledger.of_boot(1)] == [2]
    assert len(ledger.all_bad()) == 1
    ledger.close()


def test_the_report_sums_up_and_the_worst_time_counts() -> None:
    outcomes = [
        Outcome("kill", recovered_s=1.0, lost=["x"], resent=3, published=10, rss_mb=90.0),
        Outcome("kill", recovered_s=2.5, broker_lost=["y"], published=10, rss_mb=95.0),
        Outcome("frozen", gaps_open=1, problems=["too late"]),
    ]
    found = json.loads(
        to_json(report(outcomes, seed=5, runs=2, stored=19, refused=0, left_out={"disk": "no root"}))
    )
    assert {name: found[name] for name in ("runs", "faults", "lost", "doubled", "gaps_open", "seed")} == {
        "runs": 2, "faults": 3, "lost": 1, "doubled": 0, "gaps_open": 1, "seed": 5,
    }  # fmt: skip
    assert found["by_fault"]["kill"] == {
        "times": 2, "recovered_s": 2.5, "acked_early": 0, "lost": 1, "broker_lost": 1, "doubled": 0,
        "gaps_open": 0, "resent": 3, "other": 0, "published": 20, "rss_mb": 95.0,
    }  # fmt: skip
    assert found["violations"] == ["kill: lost: x", "frozen: gaps open: 1", "frozen: problems: too late"]
    assert table(outcomes).splitlines()[2].split()[:3] == ["frozen", "1", "never"]


def test_every_fault_is_on_its_page_with_its_rows_and_its_promise() -> None:
    page = (Path(__file__).parents[3] / "docs" / "faults.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(f.name, ", ".join(map(str, f.rows)), f.does, f.promises) for f in FAULTS]


def test_faults_are_chosen_by_name() -> None:
    assert [fault.name for fault in choose(["frozen", "kill"])] == ["frozen", "kill"]
    assert choose([]) == list(FAULTS)
    with pytest.raises(ValueError, match="no such fault: nonsense"):
        choose(["nonsense"])
