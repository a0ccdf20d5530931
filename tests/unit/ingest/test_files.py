from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fleet.readings import ABSENT
from fleet.wire import status_bits
from ingest.filemap import FileError, load_map, parse_map
from ingest.files import read_readings


def _us(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes, name: str = "readings.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_native_file_in_full(write):
    found = read_readings(
        write(
            "meter_id,company,ts,seq,boot,flow,volume,std_flow,std_volume,pressure,temperature,balance,battery,battery2,battery_days,valve,status,other\n"
            "m1,c1,1700000000123,5,2,1.5,100,1.6,105,104.2,-3.5,88.8,3.6,6.1,700,closed,case_open;low_oil,x\n"
            'm2,,2023-11-14T22:13:20.5+08:00,,,,,,,,,,,,,,"",\n'
            "m2,,2023-11-14T22:13:20Z,,,,7,,,,,,,,,,,\n"
        )
    )
    assert found.meter_ids == ["m1", "m2"]
    assert found.companies == ["c1", None]
    assert [str(refused) for refused in found.refused] == ["line 3, (row): reports no measurement"]
    r = found.readings
    assert r.meter_key.tolist() == [0, 1]
    assert r.device_time_us.tolist() == [1_700_000_000_123_000, 1_700_000_000_000_000]
    assert r.received_us.tolist() == r.device_time_us.tolist()
    first = {name: getattr(r, name)[0] for name in r.__dataclass_fields__}
    assert (first["seq"], first["boot"], first["valve"]) == (5, 2, 1)
    assert first["status_bits"] == status_bits(["case_open", "low_oil"])
    assert (first["flow_m3h"], first["volume_m3"], first["std_flow_m3h"], first["std_volume_m3"]) == (
        1.5,
        100,
        1.6,
        105,
    )
    assert (first["pressure_kpa"], first["temperature_c"], first["balance"]) == (104.2, -3.5, 88.8)
    assert (first["battery_v"], first["battery2_v"], first["battery_days"]) == (3.6, 6.1, 700)
    assert r.seq[1] == r.boot[1] == r.valve[1] == r.status_bits[1] == ABSENT
    assert np.isnan(r.flow_m3h[1])


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2019/4/29 15:00:00", _us(2019, 4, 29, 7)),
        ("2019/2/21 18:00", _us(2019, 2, 21, 10)),
        ("2018-09-21 00:00:00", _us(2018, 9, 20, 16)),
        ("2018-09-21", _us(2018, 9, 20, 16)),
        ("2018-09-21T00:00:00Z", _us(2018, 9, 21)),
        ("2018-09-21 00:00:00+0800", _us(2018, 9, 20, 16)),
        ("2018-09-21T00:00:00-05:30", _us(2018, 9, 21, 5, 30)),
        ("2018-09-21T00:00:00.123456789Z", _us(2018, 9, 21) + 123_456),
        ("2018-09-21T00:00:00.5", _us(2018, 9, 20, 16) + 500_000),
        ("2024-02-29 00:00:00Z", _us(2024, 2, 29)),
        ("1537488000000", _us(2018, 9, 21)),
        ("  1537488000000 ", _us(2018, 9, 21)),
    ],
)
def test_times_that_are_understood(write, text, us):
    found = read_readings(write(f"meter_id,ts,flow\nm1,{text},1\n"))
    assert found.refused == []
    assert found.readings.device_time_us.tolist() == [us]


@pytest.mark.parametrize(
    "text",
    [
        "", "NULL", "yesterday", "2019-02-29 00:00:00", "2019-13-01 00:00", "2019-00-01 00:00", "2019-01-32", "2019-01-00",
        "2019-01-01 24:00", "2019-01-01 10:60", "2019-01-01 10:00:61", "1700000000", "1970-01-01T00:00:00Z",
        "2250-01-01T00:00:00Z", "-5", "20190429", "2019-04-29T10:00:00 Europe", "99999999999999999999999",
    ],
)  # fmt: skip
def test_times_that_are_none(write, text):
    found = read_readings(write(f"meter_id,ts,flow\nm1,1700000000000,2\nm1,{text},1\n"))
    assert [(refused.line, refused.field) for refused in found.refused] == [(3, "ts")]
    assert found.readings.flow_m3h.tolist() == [2]


def test_local_times_where_the_clocks_change(write):
    text = "meter_id,ts,flow\n" + "".join(
        f"m1,{when},1\n"
        for when in (
            "2023-03-26 01:30",
            "2023-03-26 03:30",
            "2023-10-29 01:30",
            "2023-10-29 02:30",
            "2023-10-29 03:30",
        )
    )
    found = read_readings(write(text), tz="Europe/Madrid")
    assert found.readings.device_time_us.tolist() == [
        _us(2023, 3, 26, 0, 30),
        _us(2023, 3, 26, 1, 30),
        _us(2023, 10, 28, 23, 30),
        # The hour that comes twice: the first time.
        _us(2023, 10, 29, 0, 30),
        _us(2023, 10, 29, 2, 30),
    ]


def test_bad_values_by_line_field_and_reason(write):
    rows = [
        "m1,1700000000000,1,1,open,low_oil",
        "m1,1700000000001,abc,1,open,",
        "m1,1700000000002,NaN,1,open,",
        "m1,1700000000003,1e999,1,open,",
        "m1,1700000000004,-inf,1,open,",
        "m1,1700000000005,1,-1,open,",
        "m1,1700000000006,1,1.5,open,",
        "m1,1700000000007,1,1,ajar,",
        "4.1811E+11,1700000000008,1,1,open,",
        ",1700000000009,1,1,open,",
        "m1,1700000000010,1,1",
        "",
        "m1,1700000000012,1 000,x,,",
        "m1,1700000000013, 1.5E2 ,7,,surprise",
    ]
    found = read_readings(write("meter_id,ts,flow,seq,valve,status\n" + "\n".join(rows) + "\n"))
    assert [(refused.line, refused.field) for refused in found.refused] == [
        (3, "flow"), (4, "flow"), (5, "flow"), (6, "flow"), (7, "seq"), (8, "seq"), (9, "valve"), (10, "meter_id"),
        (11, "meter_id"), (12, "(row)"), (13, "(row)"), (14, "flow"), (14, "seq"),
    ]  # fmt: skip
    assert found.refused[0].reason == "is not a finite number of at most 1e+13"
    assert [found.refused[row].reason for row in (9, 10)] == [
        "has 4 values where the header has 6",
        "is empty",
    ]
    assert found.readings.flow_m3h.tolist() == [1, 150]
    assert found.readings.status_bits.tolist() == [status_bits(["low_oil"]), status_bits(["surprise"])]


@pytest.mark.parametrize("word", ["none", "ok", "0", "[]"])
def test_a_status_in_which_nothing_is_the_matter(write, word):
    found = read_readings(
        write(f"meter_id,ts,flow,status\nm1,2024-01-01T00:00:00Z,1,{word}\nm1,2024-01-01T01:00:00Z,1,\n")
    )
    assert found.readings.status_bits.tolist() == [0, ABSENT]


def test_a_byte_order_mark_quotes_and_windows_lines(write):
    found = read_readings(write('\ufeff"meter_id","ts","flow"\r\n"m1","1700000000000","1.5"\r\n'))
    assert found.readings.flow_m3h.tolist() == [1.5]
    assert found.meter_ids == ["m1"]


def test_another_encoding_by_the_map(write):
    path = write("表号,时间,流量,备注\nm1,2024-01-01 08:00,3,好\n".encode("gb18030"))
    with pytest.raises(FileError, match="cannot read"):
        read_readings(path)
    mapping = parse_map('encoding = "gb18030"\n[columns]\nmeter_id = "表号"\nts = "时间"\nflow = "流量"\n')
    assert read_readings(path, mapping).readings.device_time_us.tolist() == [_us(2024, 1, 1)]


MAP = """
tz = "UTC"
[constants]
meter_id = "m9"
company = "c9"
[columns]
ts = "When"
received = "Arrived"
flow = "Q"
pressure = "P"
[scale]
pressure = 0.1
"""


def test_a_map_with_constants_scale_and_arrival(write):
    path = write(
        "When,Arrived,Q,P,meter_id\n2024-01-01 00:00,2024-01-01 05:00,7,1013.25,other\n2024-01-01 01:00,,8,,other\n"
    )
    found = read_readings(path, parse_map(MAP))
    assert (found.meter_ids, found.companies) == (["m9"], ["c9"])
    assert found.readings.received_us.tolist() == [_us(2024, 1, 1, 5), _us(2024, 1, 1, 1)]
    assert found.readings.pressure_kpa.tolist() == pytest.approx([101.325, np.nan], nan_ok=True)
    assert found.readings.flow_m3h.tolist() == [7, 8]


def test_an_arrival_that_is_no_time_is_refused(write):
    found = read_readings(write("When,Arrived,Q,P\n2024-01-01 00:00,late,7,1\n"), parse_map(MAP))
    assert [(refused.line, refused.field) for refused in found.refused] == [(2, "received")]


def test_a_register_from_hourly_volumes(write):
    path = write("ts,who,used\n" + "".join(f"2024-01-01 {row}\n" for row in (
        "00:00,a,1.5", "01:00,a,0", "00:00,b,10", "03:00,a,4", "02:00,a,2", "01:00,b,", "02:00,b,5", "04:00,a,oops",
    )))  # fmt: skip
    found = read_readings(
        path, parse_map('[columns]\nmeter_id = "who"\nts = "ts"\n[cumulate]\nvolume = "used"\n')
    )
    assert found.meter_ids == ["a", "b"]
    # In order of time, meter by meter, though the file is not; the empty interval reports nothing.
    assert found.readings.volume_m3.tolist() == [1.5, 1.5, 10, 7.5, 3.5, 15]
    assert [(refused.line, refused.field) for refused in found.refused] == [(7, "(row)"), (9, "volume")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns = 3", "must be a table"),
        ("[columns]\nflwo = 'Q'", "'flwo' is none of"),
        ("[columns]\nflow = 3", "must be a text"),
        ("[scale]\nflow = 'x'", "must be a number"),
        ("[scale]\nflow = true", "must be a number"),
        ("[cumulate]\nflow = 'x'", "'flow' is none of volume, std_volume"),
        ("[columns]\nvolume = 'x'\n[cumulate]\nvolume = 'y'", "something else"),
        ("[columns]\nmeter_id = 'x'\n[constants]\nmeter_id = 'y'", "something else"),
        ("colums = {}", "'colums' is none of"),
        ("tz = 'Mars/Phobos'", "no time zone"),
        ("tz = 8", "no time zone"),
        ("encoding = 'utf-9'", "no encoding"),
        ("[columns", "is not TOML"),
    ],
)
def test_a_map_that_says_something_impossible(tmp_path, text, message):
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=message):
        load_map(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("meter_id,flow\nm1,2\n", "no column for ts"),
        ("ts,flow\n1700000000000,2\n", "no column for meter_id"),
    ],
)
def test_a_file_that_cannot_be_read_at_all(write, text, message):
    with pytest.raises(FileError, match=message):
        read_readings(write(text))


def test_a_mapped_column_that_the_file_lacks(write):
    with pytest.raises(FileError, match=r"no column 'P' \(for pressure\)"):
        read_readings(write("When,Arrived,Q\n2024-01-01 00:00,,1\n"), parse_map(MAP))


def test_no_file_and_no_map(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read_readings(tmp_path / "nothing.csv")
    with pytest.raises(FileError, match="there is no file"):
        read_readings(tmp_path / "nothing.parquet")
    with pytest.raises(FileError, match="cannot read the map"):
        load_map(tmp_path / "nothing.toml")


def test_a_header_alone_is_an_empty_file(write):
    found = read_readings(write("meter_id,ts,flow\n"))
    assert (len(found.readings), found.meter_ids, found.refused) == (0, [], [])


def test_binary_rubbish_is_one_error(write):
    with pytest.raises(FileError):
        read_readings(write(bytes(range(256)) * 40))
    with pytest.raises(FileError):
        read_readings(write(b"PAR1 not at all", "readings.parquet"))


def test_parquet_with_its_own_types(tmp_path):
    path = tmp_path / "readings.parquet"
    table = pa.table(
        {
            "meter_id": pa.array([12, 12, 13, None], pa.int64()),
            "ts": pa.array(
                [_us(2024, 1, 1), _us(2024, 1, 1, 1), None, 5 + _us(2024, 1, 1)], pa.timestamp("us", "UTC")
            ),
            "flow": pa.array([1.5, float("nan"), 2, 3], pa.float64()),
            "volume": pa.array([10, 11, 12, 13], pa.int32()),
            "seq": pa.array([1.0, None, 3.0, 4.0], pa.float64()),
            "status": pa.array([["low_oil", "case_open"], [], None, None], pa.list_(pa.string())),
            "valve": pa.array(["open", "closed", None, None]).dictionary_encode(),
        }
    )
    parquet.write_table(table, path)
    found = read_readings(path)
    assert found.meter_ids == ["12"]
    assert [(refused.line, refused.field) for refused in found.refused] == [(3, "ts"), (4, "meter_id")]
    assert found.readings.device_time_us.tolist() == [_us(2024, 1, 1), _us(2024, 1, 1, 1)]
    assert found.readings.flow_m3h.tolist() == pytest.approx([1.5, np.nan], nan_ok=True)
    assert found.readings.volume_m3.tolist() == [10, 11]
    assert found.readings.seq.tolist() == [1, ABSENT]
    assert found.readings.status_bits.tolist() == [status_bits(["low_oil", "case_open"]), ABSENT]
    assert found.readings.valve.tolist() == [0, 1]


def test_parquet_with_naive_times_and_milliseconds(tmp_path):
    for name, column in (
        ("naive", pa.array([datetime(2024, 1, 1, 8)], pa.timestamp("ms"))),
        ("ms", pa.array([_us(2024, 1, 1) // 1000], pa.int64())),
        ("text", pa.array(["2024/1/1 8:00"])),
    ):
        path = tmp_path / f"{name}.pq"
        parquet.write_table(pa.table({"meter_id": ["m"], "ts": column, "flow": [1.0]}), path)
        assert read_readings(path).readings.device_time_us.tolist() == [_us(2024, 1, 1)]
