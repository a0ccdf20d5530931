"""Sparkplug B: whatever anybody invents, memory stays bounded, and what was forgotten is asked for."""

from __future__ import annotations

import tracemalloc

import pytest

from ingest.formats import sparkplug_edges, sparkplug_rebirths, sparkplug_seen, sparkplug_state
from ingest.formats.sparkplug import SparkplugDecoder
from tests.unit.ingest.test_sparkplug import NOW_US, T, device_birth, flow, flows, node_birth, payload


def bear(decoder: SparkplugDecoder, edge: str) -> None:
    decoder.decode(f"spBv1.0/G/NBIRTH/{edge}", node_birth(), NOW_US)
    decoder.decode(f"spBv1.0/G/DBIRTH/{edge}/M1", device_birth(), NOW_US)


def read(decoder: SparkplugDecoder, edge: str, seq: int, device: str = "M1") -> tuple[list, list[str]]:
    """Give the flows of a data message, and where it makes us ask."""
    result = decoder.decode(f"spBv1.0/G/DDATA/{edge}/{device}", flow(seq, seq), NOW_US)
    return [value for _, value in flows(result)], [request.topic for request in result.rebirths]


def test_the_edge_node_least_recently_heard_is_forgotten_and_asked_when_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparkplug_edges, "MOST_EDGES", 3)
    decoder = SparkplugDecoder()
    for edge in ("A", "B", "C"):
        bear(decoder, edge)
    assert read(decoder, "A", 2) == ([2.0], [])
    bear(decoder, "D")
    assert len(decoder.snapshot().edges) == 3
    assert [read(decoder, edge, 3 if edge == "A" else 2)[0] for edge in "ACD"] == [[3.0], [2.0], [2.0]]
    assert read(decoder, "B", 2) == ([], ["spBv1.0/G/NCMD/B"])
    bear(decoder, "B")
    assert read(decoder, "B", 2) == ([2.0], [])


def test_an_edge_node_too_many_by_size_is_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug_edges, "MOST_BYTES", 15_000)
    decoder = SparkplugDecoder()
    for n in range(100):
        bear(decoder, f"E{n}")
    assert 3 < len(decoder.snapshot().edges) < 12
    assert read(decoder, "E99", 2) == ([2.0], [])


def test_what_is_forgotten_is_no_longer_counted() -> None:
    decoder = SparkplugDecoder()
    for n in range(300):
        decoder.decode("spBv1.0/G/NBIRTH/E", node_birth(n, at=T + n), NOW_US)
        decoder.decode("spBv1.0/G/DBIRTH/E/M1", device_birth(at=T + n), NOW_US)
    edges = decoder.snapshot().edges
    edge = edges.get(("G", "E"))
    assert edge is not None
    assert edges._size_bytes == edge.size_bytes + 2 < 5_000


@pytest.mark.parametrize(("bound", "most"), [("MOST_DEVICES", 4), ("MOST_EDGE_BYTES", 2_800)])
def test_the_device_least_recently_born_is_forgotten_and_asked_for(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(sparkplug_state, bound, most)
    decoder = SparkplugDecoder()
    decoder.decode("spBv1.0/G/NBIRTH/E", node_birth(), NOW_US)
    for n in range(1, 40):
        decoder.decode(f"spBv1.0/G/DBIRTH/E/M{n}", device_birth(n), NOW_US)
    edge = decoder.snapshot().edges.get(("G", "E"))
    assert edge is not None
    assert 3 <= len(edge.devices) <= 5
    assert read(decoder, "E", 40, "M39") == ([40.0], [])
    assert read(decoder, "E", 41, "M1") == ([], ["spBv1.0/G/NCMD/E"])


def test_a_birth_beyond_all_bounds_explains_nothing_and_its_names_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparkplug_state, "MOST_EDGE_BYTES", 1_000)
    decoder = SparkplugDecoder()
    many = [{"name": b"x%d" % n, "alias": n, "datatype": 10, "double_value": 1.0} for n in range(50)]
    for topic in ("NBIRTH/E", "DBIRTH/E/M1"):
        decoder.decode(f"spBv1.0/G/{topic}", payload(int(topic[0] == "D"), *many), NOW_US)
    assert read(decoder, "E", 2) == ([], ["spBv1.0/G/NCMD/E"])
    named = payload(3, {"name": b"flow", "double_value": 3.0})
    assert flows(decoder.decode("spBv1.0/G/NDATA/E", named, NOW_US)) == [("E", 3.0)]


def test_who_was_asked_is_bounded_within_one_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug_rebirths, "MOST_ASKED", 100)
    decoder = SparkplugDecoder()
    asked = [read(decoder, f"E{n}", 2)[1] for n in range(1000)]
    assert all(asked)
    assert len(decoder.snapshot().rebirths) == 100
    assert read(decoder, "E999", 3) == ([], [])


def test_invented_edge_nodes_take_no_more_memory_than_the_most_that_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 500
    monkeypatch.setattr(sparkplug_edges, "MOST_EDGES", most)
    monkeypatch.setattr(sparkplug_seen, "WINDOW_MESSAGES", most)
    decoder = SparkplugDecoder()
    tracemalloc.start()
    try:
        taken = []
        for round_ in range(3):
            for n in range(most):
                decoder.decode(f"spBv1.0/G/NBIRTH/E{round_}-{n}", node_birth(), NOW_US)
            taken.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(decoder.snapshot().edges) == most
    # What is remembered of their messages grows a little longer.
    assert taken[2] < 1.5 * taken[0] < 3_000 * most
