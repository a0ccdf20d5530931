"""No message, whatever it holds, stops ingest, harms its neighbours in a batch, or goes away in silence.

`make test` tries a few hundred batches, always the same; `make fuzz N=100000 SEED=7` tries others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, seed, settings

from fleet.readings import ReadingBatch
from ingest.batch import AssembledBatch
from tests.property.fuzz_check import check, take
from tests.property.payloads import NOW_MS, Sent, batches

_CASES = int(os.environ.get("METERWARDEN_FUZZ_CASES", "400"))
_SEED = int(os.environ.get("METERWARDEN_FUZZ_SEED", "0"))
#: What Hypothesis remembers of a run grows with it, so a long one is cut.
_CASES_AT_ONCE = 1_000


def _pieces() -> Iterator[tuple[int, int]]:
    """Give the number of cases and the seed of each piece."""
    for at in range(0, _CASES, _CASES_AT_ONCE):
        yield min(_CASES_AT_ONCE, _CASES - at), _SEED * 1_000_003 + at


@pytest.mark.timeout(0)
def test_no_message_stops_ingest_or_harms_its_neighbours() -> None:
    counts: Counter[str] = Counter()

    def one(sent: list[Sent]) -> None:
        counts.update(check(sent, take(sent)), cases=1)

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    for cases, seed_ in _pieces():
        rules = settings(max_examples=cases, suppress_health_check=checks)
        rules(seed(seed_)(given(batches)(one)))()
    print(f"\nseed {_SEED}: {dict(counts)}")
    assert counts["cases"] >= _CASES


SENT = Sent(
    b"gas/v1/north/M1/telemetry",
    b'[{"ts": %d, "boot": 5, "seq": 1, "flow": 2.5}, {"ts": "x", "flow": 1}]' % NOW_MS,
    (("M1", {"ts": NOW_MS, "boot": 5, "seq": 1, "flow": 2.5}),),
    2,
)


def _without_reasons(batch: AssembledBatch) -> None:
    batch.refusals = [replace(refusal, reasons=()) for refusal in batch.refusals]


def _without_a_neighbour(batch: AssembledBatch) -> None:
    batch.readings = ReadingBatch.empty()


def _without_a_refusal(batch: AssembledBatch) -> None:
    batch.refusals = []


def _with_another_value(batch: AssembledBatch) -> None:
    batch.readings.flow_m3h[0] = 2.6


def _without_the_payload(batch: AssembledBatch) -> None:
    batch.refusals = [replace(refusal, payload=b"") for refusal in batch.refusals]


@pytest.mark.parametrize(
    "harm",
    [_without_reasons, _without_a_neighbour, _without_a_refusal, _with_another_value, _without_the_payload],
)
def test_the_check_sees_harm(harm) -> None:
    check([SENT], take([SENT]))
    batch = take([SENT])
    harm(batch)
    with pytest.raises(AssertionError):
        check([SENT], batch)
