"""The console's pages before any script runs."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pytest

from analytics.data.dropout import dropout
from fleet.readings import ReadingBatch

PAGES = ("/", "/tasks", "/obligations", "/meters", "/meters/M1", "/alarms/1")
ATTACK = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


@pytest.fixture
def busy(city):
    city.meter("M1", customer=ATTACK, contact=ATTACK, phone="000 0000", manager=ATTACK)
    said = {"note": ATTACK, "actor": ATTACK}
    alarm_id = city.alarm("M1", said=said, acknowledged_by=ATTACK, state="active_acked")
    obligation_id = city.obligation(date(2026, 10, 1), date(2026, 10, 31), customer=ATTACK)
    city.task(-3, alarm_id=alarm_id, meter_key=city.keys["M1"], customer=ATTACK, assignee=ATTACK)
    city.task(3, obligation_id=obligation_id, customer=ATTACK, kind="safety_inspection")
    return city


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "path", [*PAGES, f"/meters?search={ATTACK}", f"/?company={ATTACK}", f"/?check={ATTACK}"]
)
def test_what_people_typed_is_text_and_never_markup(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_scripts_or_styles_or_foreign_addresses(client, path):
    tags = Tags()
    tags.feed(client.get(path).text)
    assert len(tags.found) > 30
    for tag, attributes in tags.found:
        assert tag not in ("style", "img", "iframe")
        assert tag != "script" or "src" in attributes
        assert not [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))]
        addresses = [attributes[name] for name in ("src", "href", "action", "hx-get") if name in attributes]
        assert all(re.match(r"/(?!/)|#|tel:", address) for address in addresses)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("path", PAGES)
def test_every_page_speaks_both_languages_and_says_which(client, path):
    english, chinese = (client.get(path, headers={"accept-language": tag}).text for tag in ("en-GB", "zh-TW"))
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese
    titles = [re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)[1].strip() for text in (english, chinese)]
    assert titles[0] != titles[1] or path == "/meters/M1"


def test_a_language_asked_for_is_remembered(client):
    page = client.get("/?lang=zh", headers={"accept-language": "en"})
    assert "未关闭报警" in page.text
    cookie = page.headers["set-cookie"].partition(";")[0]
    held = {"cookie": cookie, "accept-language": "en"}
    assert "未关闭报警" in client.get("/", headers=held).text
    assert "Open alarms" in client.get("/?lang=en", headers=held).text
    assert client.get("/?lang=xx", headers={"accept-language": "en"}).status_code == 200


def test_the_board_shows_everything_that_is_needed_to_act(client, city):
    city.meter("M1", customer="Grand Hotel", contact="duty desk", phone="000 0000 1234")
    alarm_id = city.alarm("M1")
    city.task(2, alarm_id=alarm_id, meter_key=city.keys["M1"])
    page = client.get("/").text
    for text in (
        "Showing the only open alarm",
        "Major",
        "2 hours",
        "Grand Hotel",
        'href="/meters/M1"',
        "Flow above rated range",
        "171.5 m³/h",
        "limit 160 m³/h",
        "active, not acknowledged",
        "Nov 20, 2026",
        "10:00 <small>UTC+8</small>",
        "Visit for an alarm",
        "due Nov 22, 2026",
        "duty desk",
        'href="tel:00000001234"',
        f'action="/alarms/{alarm_id}/acknowledge"',
    ):
        assert text in page


def test_an_alarms_page_says_whose_limit_it_was(client, city):
    page = f"/alarms/{city.alarm('M1', limit_origin='company')}"
    assert "the company&#39;s policy" in client.get(page, headers={"accept-language": "en"}).text
    assert "公司规定" in client.get(page, headers={"accept-language": "zh"}).text
    without = client.get(f"/alarms/{city.alarm('M1', 'dropout_frame')}", headers={"accept-language": "en"})
    assert "Limit from" not in without.text


def test_the_board_is_ordered_worst_first_and_filtered_by_its_address(client, city):
    city.meter("M2", company="south")
    minor = city.alarm("M1", "battery_low", severity="minor")
    acked = city.alarm("M1", severity="critical", state="active_acked")
    critical = city.alarm("M1", "meter_silent", severity="critical")
    south = city.alarm("M2", "meter_silent", company="south")
    rows = lambda query: [int(n) for n in re.findall(r'<tr id="alarm-(\d+)"', client.get(f"/{query}").text)]  # noqa: E731
    assert rows("") == [critical, acked, south, minor]
    assert rows("?severity=critical") == [critical, acked]
    assert rows("?check=meter_silent&company=north") == [critical]
    nothing = client.get("/?severity=info").text
    assert "No alarm fits the filter" in nothing
    assert re.search(r"Info\s*<span class=\"count\">0</span>", nothing)


def test_the_boards_pages_show_every_alarm_once(client, city):
    for number in range(130):
        city.meter(f"N{number}")
        city.alarm(f"N{number}", severity=("critical", "minor")[number % 2])
    first = client.get("/").text
    following = re.search(r'class="pages"><a href="([^"]+)"', first)[1]
    second = client.get(following.replace("&amp;", "&")).text
    ids = [re.findall(r'<tr id="alarm-(\d+)"', text) for text in (first, second)]
    assert [len(found) for found in ids] == [100, 30]
    assert len({*ids[0], *ids[1]}) == 130
    assert 'class="pages"' not in second


def test_htmx_gets_the_list_alone(client, city):
    city.alarm("M1")
    part = client.get("/", headers={"hx-request": "true"}).text
    assert "<html" not in part
    assert 'id="alarm-1"' in part


def test_a_board_of_more_than_a_page_says_so(client, city):
    for number in range(101):
        city.meter(f"P{number}")
        city.alarm(f"P{number}")
    page = client.get("/").text
    assert "Showing all 101 open alarms" in page
    assert "This page shows 100 of them." in page


def test_an_absurd_value_breaks_no_page(client, city):
    city.readings("M1", [3600.0, 0.0], flow_m3h=[1e308, 5.0], volume_m3=[-1.5e308, 1.5e308])
    city.alarm("M1", value=1e308)
    for path in ("/", "/meters/M1", "/meters/M1/flow.json"):
        assert client.get(path).status_code == 200, path


def test_empty_pages_say_what_to_do_next(client, city):
    assert "Nothing waits for you here" in client.get("/").text
    assert "The engine makes them" in client.get("/tasks").text
    assert "No obligations yet" in client.get("/obligations").text
    assert "Show all meters" in client.get("/meters?search=zzz").text
    with city.database.transaction() as transaction:
        transaction.execute("DELETE FROM meter")
    assert "meterwarden registry import" in client.get("/").text
    assert "meterwarden registry import" in client.get("/meters").text


def test_an_overdue_task_says_by_how_much_and_why(client, city):
    alarm_id = city.alarm("M1", "meter_silent")
    city.task(-2, alarm_id=alarm_id, meter_key=city.keys["M1"])
    page = client.get("/tasks").text
    assert "2 days overdue" in page
    assert f'<a href="/alarms/{alarm_id}">Meter silent</a>' in page
    assert "已逾期 2 天" in client.get("/tasks?lang=zh").text


def test_no_flow_no_data_and_invalid_data_are_three_things(client, city):
    def status(meter_id: str) -> str:
        return re.search(r'data-status="(\w+)"', client.get(f"/meters/{meter_id}").text)[1]

    assert status("M1") == "never"
    for meter_id, age_s, columns in (
        ("idle", 60, {"flow_m3h": [0.0], "volume_m3": [5.0]}),
        ("silent", 4 * 3600, {"flow_m3h": [9.0], "volume_m3": [5.0]}),
        (
            "broken",
            60,
            {"flow_m3h": [0.0], "volume_m3": [0.0], "pressure_kpa": [0.0], "temperature_c": [0.0]},
        ),
        ("fine", 60, {"flow_m3h": [9.0], "volume_m3": [5.0]}),
        ("over", 60, {"flow_m3h": [200.0], "volume_m3": [5.0]}),
    ):
        city.meter(meter_id)
        city.readings(meter_id, [age_s], **columns)
    found = {meter_id: status(meter_id) for meter_id in ("idle", "silent", "broken", "fine", "over")}
    assert found == {
        "idle": "no_flow",
        "silent": "no_data",
        "broken": "invalid",
        "fine": "in_range",
        "over": "over_range",
    }
    city.alarm("fine", "register_reversed")
    assert status("fine") == "invalid"


def test_the_chart_keeps_the_peak_and_stays_small(client, city):
    n = 30 * 24 * 60 // 2
    flow = np.full(n, 10.0)
    flow[n // 2] = 999.0
    city.meter("M2", interval_s=120)
    city.readings("M2", list(np.arange(n)[::-1] * 120.0), flow_m3h=flow, volume_m3=np.arange(n) / 3)
    chart = client.get("/meters/M2/flow.json?span=30d").json()
    assert len(chart["time"]) <= 481
    assert max(chart["high"]) == 999.0
    assert max(chart["low"]) == 10.0
    assert chart["time"] == sorted(chart["time"])
    assert (chart["qmin"], chart["qmax"], chart["timezone"]) == (1.6, 160.0, "Asia/Shanghai")
    assert client.get("/meters/M2/flow.json?span=1y").status_code == 422


def test_the_chart_breaks_at_a_gap_and_sets_invalid_frames_apart(client, city):
    ages = [8 * 3600, 7 * 3600, 3600, 0]
    zero = {"pressure_kpa": [100.0, 100.0, 0.0, 100.0], "temperature_c": [20.0, 20.0, 0.0, 20.0]}
    city.readings("M1", ages, flow_m3h=[5.0, 6.0, 0.0, 7.0], volume_m3=[10.0, 15.0, 0.0, 40.0], **zero)
    chart = client.get("/meters/M1/flow.json").json()
    assert chart["high"] == [5.0, 6.0, None, None, 7.0]
    assert chart["invalid"] == [None, None, None, 0.0, None]
    assert chart["mean"] == [None, 5.0, None, None, None]


def test_the_database_finds_the_same_dropout_frames_as_the_checks(client, city):
    values = (np.nan, 0.0, 3.0)
    grid = np.array(np.meshgrid(*[values] * 5)).reshape(5, -1)
    names = ("volume_m3", "std_volume_m3", "pressure_kpa", "temperature_c", "battery_v")
    columns = dict(zip(names, grid, strict=True))
    n = grid.shape[1]
    city.readings("M1", list(np.arange(n)[::-1] * 300.0), **columns)
    expected = dropout(ReadingBatch.build(n, **columns))
    assert expected.any()
    chart = client.get("/meters/M1/flow.json").json()
    assert [value is not None for value in chart["invalid"]] == expected.tolist()


def test_the_table_says_what_the_chart_draws(client, city):
    city.readings(
        "M1", [3600 * age for age in (3, 2, 1)], flow_m3h=[5.0, 250.5, 0.0], volume_m3=[10.0, 20.0, 50.0]
    )
    page = client.get("/meters/M1").text
    table = page.partition("<details>")[2].partition("</details>")[0]
    cells = re.findall(r'<td class="figure">([^<]*)</td>', table)
    assert cells[:5] == ["0", "0", "30", "1", "0"]
    assert cells[5:8] == ["250.5", "250.5", "10"]


def test_a_meters_file_shows_both_batteries_and_the_oil(client, city):
    city.meter(
        "M1",
        battery_type="lithium_3v6",
        battery_replaced_on=date(2024, 2, 29),
        battery2_type="alkaline_6v",
        oil_filled_on=date(2025, 1, 2),
        oil_interval_m3=500_000.0,
        prepaid=True,
        balance_unit="CNY",
    )
    city.readings("M1", [0], battery_v=[3.55], battery2_v=[4.8], balance=[123.4])
    page = client.get("/meters/M1?lang=zh").text
    for text in (
        "2024年2月29日",
        "3.55 V",
        "4.8 V",
        "碱性电池 6 V",
        "2025年1月2日",
        "500,000 m³",
        "123.4 元",
    ):
        assert text in page


def test_late_readings_of_the_future_do_not_hide_the_present(client, city):
    city.readings("M1", [0, -86400], flow_m3h=[5.0, 0.0])
    assert 'data-status="in_range"' in client.get("/meters/M1").text
