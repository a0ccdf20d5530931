from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest

from firmware_sim.fault_specs import EXPECTED
from firmware_sim.faults import Fault
from firmware_sim.population import Population, build_population
from firmware_sim.truth import describe_truth, write_truth
from fleet.checks import BY_CODE
from fleet.meters import CustomerKind, ReadingClass, Technology
from fleet.registry import read_registry, write_registry

END = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
START = END - timedelta(days=14)


EVERY_DEMO_SHOWS = [fault for fault in Fault if Fault.NONE < fault <= Fault.SENSOR_GLITCH]


def population(count: int = 60, seed: int = 1, **options: object) -> Population:
    return build_population(count, seed, start=START, end=END, **options)  # type: ignore[arg-type]


def test_the_same_arguments_give_the_same_population():
    one, two = population(), population()

    assert one.meters == two.meters
    assert one.faults == two.faults


def test_another_seed_gives_another_population():
    assert population(seed=1).meters != population(seed=2).meters
    assert population(seed=1).truth() != population(seed=2).truth()


def test_the_registry_rows_pass_the_importer_and_come_back_the_same():
    meters = population(200).meters
    text = StringIO()
    write_registry(meters, text)

    read = read_registry(text.getvalue().splitlines())

    assert read.errors == []
    assert [m.meter_id for m in read.meters] == [m.meter_id for m in meters]
    assert read.meters == meters


def test_sixty_meters_show_every_kind_of_customer_class_and_meter():
    meters = population().meters
    customers = [(m.company, m.customer) for m in meters]

    assert {m.reading_class for m in meters} == set(ReadingClass)
    assert {m.customer_kind for m in meters} == set(CustomerKind) - {CustomerKind.RESIDENTIAL}
    assert {m.technology for m in meters} == {Technology.ROOTS, Technology.DIAPHRAGM}
    assert len(set(customers)) < len(customers), "some customer has two meters"
    assert {m.phone[:4] for m in meters if m.phone} == {"000-"}


def test_a_customer_has_one_reading_class():
    by_customer: dict[str, set[ReadingClass]] = {}
    for meter in population(500).meters:
        by_customer.setdefault(meter.customer, set()).add(meter.reading_class)

    assert {len(classes) for classes in by_customer.values()} == {1}


def test_sixty_meters_have_every_fault_and_each_meter_one_at_most():
    faults = population().faults

    assert set(EVERY_DEMO_SHOWS) <= {fault.fault for fault in faults}
    assert len({fault.meter_id for fault in faults}) == len(faults)
    assert all(START <= f.starts_at < f.ends_at <= END for f in faults)


@pytest.mark.parametrize("days", [2, 3, 40, 89])
def test_every_fault_lies_within_the_history_whatever_its_length(days):
    start = END - timedelta(days=days)

    faults = build_population(100, 5, start=start, end=END).faults

    assert all(start <= f.starts_at < f.ends_at <= END for f in faults)


def test_every_check_that_is_expected_is_in_the_catalogue():
    assert {c for e in EXPECTED.values() for c in (e.check, *e.side_effects, *e.may) if c} <= set(BY_CODE)


def test_every_check_of_telemetry_has_a_fault_that_it_must_find():
    # Holes in the numbering are the engine's to find: it needs to have asked the meter for them.
    assert set(BY_CODE) - {"data_gap"} <= {e.check for e in EXPECTED.values()}


def test_the_truth_names_side_effects_and_leaves_harmless_faults_out():
    built = population()
    truth = built.truth()
    by_fault = {f.fault: f.meter_id for f in built.faults}

    assert by_fault[Fault.OVER_RANGE_LONG] in truth["flow_over_range_sustained"]
    assert by_fault[Fault.OVER_RANGE_LONG] in truth["flow_over_range"]
    assert by_fault[Fault.BALANCE_EXHAUSTED] in truth["balance_low"]
    harmless = {by_fault[Fault.DUPLICATE], by_fault[Fault.LATE_BATCH]}
    assert not harmless & {meter_id for meter_ids in truth.values() for meter_id in meter_ids}


def test_the_truth_file_says_what_the_population_knows(tmp_path):
    import json  # noqa: PLC0415

    built = population()
    write_truth(built, tmp_path / "truth.json")

    read = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))

    assert read == json.loads(json.dumps(describe_truth(built)))
    assert set(read) == {"seed", "start", "end", "meters", "faults", "expected", "tolerated"}
    assert set(read["faults"][0]) == {
        *("meter_id", "fault", "check", "level", "starts_at", "ends_at", "decidable_at", "strength")
    }
    assert read["expected"] == built.truth()


def test_no_fault_is_injected_where_none_is_asked_for():
    assert population(fault_share=0.0).faults == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"company": "a/b"}, "letters, digits"),
        ({"fault_share": 1.5}, "not 0 to 1"),
    ],
)
def test_impossible_arguments_are_named(options, reason):
    with pytest.raises(ValueError, match=reason):
        population(**options)


def test_a_history_too_short_for_faults_is_refused():
    with pytest.raises(ValueError, match="too short"):
        build_population(10, 1, start=END - timedelta(hours=30), end=END)
