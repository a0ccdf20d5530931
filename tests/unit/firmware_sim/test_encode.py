import json

import numpy as np
import pytest

from firmware_sim.encode import can_be_sent, payload, records, status_payload
from fleet.readings import ReadingBatch
from fleet.wire import NUMBER_FIELDS, status_bits


def test_a_reading_with_everything_is_the_golden_payload():
    batch = ReadingBatch.build(
        meter_key=[0],
        device_time_us=[1_794_797_445_123_000],
        seq=[1234],
        boot=[7],
        flow_m3h=[12.5],
        volume_m3=[10234.7],
        std_flow_m3h=[13.1],
        std_volume_m3=[11002.0],
        pressure_kpa=[121.3],
        temperature_c=[-4.5],
        balance=[0.0],
        battery_v=[3.61],
        battery2_v=[5.9],
        battery_days=[310.0],
        valve=[1],
        status_bits=[status_bits(["case_open", "low_oil"])],
    )

    assert payload(records(batch)) == (
        b'{"ts":1794797445123,"boot":7,"seq":1234,"flow":12.5,"volume":10234.7,"std_flow":13.1,'
        b'"std_volume":11002.0,"pressure":121.3,"temperature":-4.5,"balance":0.0,"battery":3.61,'
        b'"battery2":5.9,"battery_days":310.0,"valve":"closed","status":["case_open","low_oil"]}'
    )


def test_what_is_not_reported_is_not_there():
    batch = ReadingBatch.build(meter_key=[0], device_time_us=[1_000_000], volume_m3=[5.0])

    assert json.loads(payload(records(batch))) == {"ts": 1000, "volume": 5.0}


def test_readings_of_different_meters_keep_their_own_fields():
    batch = ReadingBatch.build(
        meter_key=[0, 1],
        device_time_us=[1_000_000, 2_000_000],
        flow_m3h=[0.0, np.nan],
        pressure_kpa=[np.nan, 101.5],
        valve=[-1, 0],
        status_bits=[0, -1],
    )

    assert records(batch) == [
        {"ts": 1000, "flow": 0.0, "status": []},
        {"ts": 2000, "pressure": 101.5, "valve": "open"},
    ]


def test_several_readings_are_an_array():
    batch = ReadingBatch.build(meter_key=[0, 0], device_time_us=[2_000_000, 1_000_000], volume_m3=[2.0, 1.0])

    assert payload(records(batch)) == b'[{"ts":2000,"volume":2.0},{"ts":1000,"volume":1.0}]'


@pytest.mark.parametrize(("column", "name"), [(c, n) for n, c in NUMBER_FIELDS.items()])
def test_every_number_of_the_contract_is_sent(column, name):
    batch = ReadingBatch.build(meter_key=[0], device_time_us=[0], **{column: [1.25]})

    assert records(batch) == [{"ts": 0, name: 1.25}]


def test_a_reading_without_a_measurement_cannot_be_sent():
    batch = ReadingBatch.build(meter_key=[0, 0], device_time_us=[0, 1], valve=[0, 0], volume_m3=[np.nan, 0.0])

    assert can_be_sent(batch).tolist() == [False, True]


def test_births_and_ends_are_as_the_contract_says():
    assert json.loads(status_payload(online=True, boot=7, firmware="2.1")) == {
        "online": True,
        "boot": 7,
        "firmware": "2.1",
    }
    assert status_payload(online=False) == b'{"online":false}'
