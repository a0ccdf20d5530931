"""The nouns of the API: what each shows, and that paging walks through everything once."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from fleet.meters import FIELDS
from fleet.wire import NUMBER_FIELDS


def walk(client, path: str) -> list[dict]:
    items, pages = [], 0
    while path:
        response = client.get(path)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        link = response.headers.get("link")
        assert link == (f'<{page["next"]}>; rel="next"' if page["next"] else None)
        path = page["next"]
        pages += 1
        assert pages < 50
    return items


def test_meters_have_the_registrys_fields_and_the_rated_range(client, city):
    city.meter("M2", qmin=None, qmax=None, g_size="G65", company="south")
    meter = client.get("/api/v1/meters/M2").json()
    assert set(FIELDS) <= set(meter)
    assert (meter["qmin"], meter["qmax"]) == (None, None)
    assert meter["rated_range"] == {"qmin": 5.0, "qmax": 100.0}
    assert meter["open_alarms"] == 0
    assert [m["meter_id"] for m in client.get("/api/v1/meters?company=south").json()["items"]] == ["M2"]


def test_meters_are_searched_by_id_and_customer(client, city):
    city.meter("X-100", customer="Bakery Zhang")
    for part in ("x-1", "BAKERY", "y zh"):
        found = client.get("/api/v1/meters", params={"search": part}).json()["items"]
        assert [m["meter_id"] for m in found] == ["X-100"]
    assert client.get("/api/v1/meters?search=%25").json()["items"] == []


def test_paging_walks_through_every_meter_once(client, city):
    for number in range(2, 12):
        city.meter(f"M{number:02}")
    for limit in (1, 4, 11, 100):
        found = [m["meter_id"] for m in walk(client, f"/api/v1/meters?limit={limit}")]
        assert len(found) == len(set(found)) == 11


def test_readings_are_told_in_the_wires_terms(client, city):
    city.readings(
        "M1", [60], flow_m3h=[12.5], volume_m3=[100.0], valve=[1], status_bits=[3], seq=[7], boot=[2]
    )
    city.readings("M1", [30], volume_m3=[101.0])
    first, second = client.get("/api/v1/readings?meter_id=M1").json()["items"]
    assert set(NUMBER_FIELDS) <= set(first)
    assert first["ts"] == "2026-11-20T03:59:00Z"
    assert (first["flow"], first["valve"], first["seq"], first["boot"]) == (12.5, "closed", 7, 2)
    assert first["status"] == ["tamper_magnetic", "case_open"]
    assert (second["seq"], second["boot"], second["flow"], second["valve"]) == (None, None, None, None)
    assert second["status"] is None


def test_paging_walks_through_every_reading_once_even_at_one_moment(client, city):
    city.readings("M1", [60.0] * 5 + list(np.arange(20.0) + 1), seq=list(range(25)), flow_m3h=[1.0] * 25)
    for limit in (1, 3, 25):
        found = [r["seq"] for r in walk(client, f"/api/v1/readings?meter_id=M1&limit={limit}")]
        assert sorted(found) == list(range(25))


def test_readings_are_taken_from_a_half_open_span(client, city):
    city.readings("M1", [3600, 1800, 0], flow_m3h=[1.0, 2.0, 3.0])
    start, end = "2026-11-20T11:00:00%2B08:00", "2026-11-20T04:00:00Z"
    found = client.get(f"/api/v1/readings?meter_id=M1&from={start}&to={end}").json()["items"]
    assert [r["flow"] for r in found] == [1.0, 2.0]


def test_alarms_are_the_open_ones_unless_asked_otherwise(client, city):
    city.meter("M2")
    first = city.alarm("M1")
    second = city.alarm("M2", "battery_low", severity="minor", part=2)
    closed = city.alarm("M1", state="closed")
    ids = lambda query: [a["alarm_id"] for a in walk(client, f"/api/v1/alarms{query}")]  # noqa: E731
    assert ids("") == [first, second]
    assert ids("?limit=1") == [first, second]
    assert ids("?state=closed") == [closed]
    assert ids("?state=closed&state=active_unacked") == [first, second, closed]
    assert ids("?check=battery_low") == ids("?severity=minor") == ids("?meter_id=M2") == [second]
    assert ids("?company=south") == []


def test_an_alarm_carries_its_unit_and_its_journal(client, city):
    city.meter("M2", prepaid=True, balance_unit="m3")
    flow = client.get(f"/api/v1/alarms/{city.alarm('M1')}").json()
    balance = client.get(f"/api/v1/alarms/{city.alarm('M2', 'balance_low')}").json()
    assert (flow["unit"], balance["unit"]) == ("m3/h", "m3")
    assert (flow["value"], flow["limit"], flow["onset_at"]) == (171.5, 160.0, "2026-11-20T02:00:00Z")
    assert [entry["event"] for entry in flow["journal"]] == ["raise"]


def test_an_alarm_says_whose_limit_it_was_held_against(client, city):
    alarm_id = city.alarm("M1", limit_origin="company")
    assert client.get(f"/api/v1/alarms/{alarm_id}").json()["limit_from"] == "company"
    assert [a["limit_from"] for a in client.get("/api/v1/alarms").json()["items"]] == ["company"]
    nobody = client.get(f"/api/v1/alarms/{city.alarm('M1', 'dropout_frame')}").json()
    assert (nobody["limit_from"], nobody["journal"][0]["limit_from"]) == (None, None)


def test_tasks_are_ordered_by_due_date_and_overdue_is_derived(client, city):
    ids = {days: city.task(days, alarm_id=city.alarm("M1", state="closed")) for days in (5, -2, 0)}
    done = city.task(-9, alarm_id=city.alarm("M1"), state="done")
    found = walk(client, "/api/v1/tasks?limit=1")
    assert [task["task_id"] for task in found] == [ids[-2], ids[0], ids[5]]
    assert [task["overdue"] for task in found] == [True, False, False]
    assert [t["task_id"] for t in walk(client, "/api/v1/tasks?overdue=true")] == [ids[-2]]
    assert [t["overdue"] for t in walk(client, "/api/v1/tasks?state=done")] == [False]
    assert [t["task_id"] for t in walk(client, "/api/v1/tasks?state=done")] == [done]


def test_a_task_is_overdue_by_the_companys_calendar(city, connect):
    # 17:00 in London is already tomorrow in Shanghai.
    city.now = city.now.replace(hour=17)
    city.task(0, alarm_id=city.alarm("M1"))
    assert [t["overdue"] for t in connect().get("/api/v1/tasks").json()["items"]] == [True]


def test_obligations_are_kept_missed_or_open(client, city):
    kept = city.obligation(date(2026, 9, 1), date(2026, 9, 30))
    city.task(-50, obligation_id=kept, state="done")
    planned = city.obligation(date(2026, 10, 1), date(2026, 10, 31))
    city.task(-20, obligation_id=planned, state="planned")
    never = city.obligation(date(2026, 10, 1), date(2026, 10, 31), customer="Hotel M2")
    running = city.obligation(date(2026, 11, 1), date(2026, 11, 30))
    last_day = city.obligation(date(2026, 10, 20), city.now.date())
    found = {o["obligation_id"]: o["status"] for o in walk(client, "/api/v1/obligations?limit=2")}
    assert found == {kept: "kept", planned: "missed", never: "missed", running: "open", last_day: "open"}
    missed = walk(client, "/api/v1/obligations?status=missed&limit=1")
    assert [o["obligation_id"] for o in missed] == [planned, never]
    assert [o["task_id"] is None for o in missed] == [False, True]
    assert len(walk(client, "/api/v1/obligations?from=2026-11-01&to=2026-11-05")) == 2


def test_a_lists_next_page_keeps_the_filters(client, city):
    for _ in range(3):
        city.alarm("M1", state="closed")
    page = client.get("/api/v1/alarms?state=closed&limit=2").json()
    assert "state=closed" in page["next"]
    assert len(client.get(page["next"]).json()["items"]) == 1


def test_ready_only_with_a_schema_and_both_services_alive(client, city):
    city.beat("ingest", age_s=5)
    city.beat("engine", age_s=31)
    body = client.get("/readyz").json()
    assert body["not_ready"] == ["engine gave no sign of life for 30 s"]
    with city.database.transaction() as transaction:
        transaction.execute("UPDATE service_heartbeat SET beat_at = %(now)s", {"now": city.now})
    assert client.get("/readyz").json() == {"status": "ok"}
    with city.database.transaction() as transaction:
        transaction.execute("UPDATE schema_migration SET finished_at = NULL")
    assert "not migrated" in client.get("/readyz").json()["detail"]


def test_ready_only_with_every_member_of_a_group_but_without_a_renamed_one(client, city):
    city.beat("engine")
    city.beat("ingest", age_s=5_000, instance="renamed")
    for name, age_s in (("north", 1), ("south", 31)):
        city.beat("ingest", age_s, '{"share": "city"}', instance=name)
    body = client.get("/readyz").json()
    assert body["not_ready"] == ["ingest south gave no sign of life for 30 s"]
    with city.database.transaction() as transaction:
        transaction.execute(
            "UPDATE service_heartbeat SET beat_at = %(now)s WHERE instance = 'south'", {"now": city.now}
        )
    assert client.get("/readyz").json() == {"status": "ok"}


def test_not_ready_while_ingest_has_no_broker_or_lags(client, city):
    city.beat("engine")
    city.beat("ingest", 1, '{"connected": false, "backlog_age_s": 75.2}', instance="north")
    assert client.get("/readyz").json()["not_ready"] == [
        "ingest north is not connected to the broker",
        "ingest north lags: readings may have been waiting for 75 s",
    ]


def test_metrics_are_base_units_and_never_count_telemetry(client, city):
    city.alarm("M1")
    city.task(1, alarm_id=city.alarm("M1", "battery_low", severity="minor"))
    city.beat("ingest", 2, '{"readings": 120, "connected": true, "refused": 3}', instance="north")
    gap = {"meter_key": 1, "boot": 1, "seq_from": 2, "seq_to": 3, "found_at": city.now}
    with city.database.transaction() as transaction:
        city.insert(transaction, "sequence_gap", gap)
        transaction.execute("DROP TABLE reading")
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'meterwarden_meters{company="north"} 1.0',
        'meterwarden_alarms_open{check="flow_over_range",severity="major"} 1.0',
        'meterwarden_tasks_open{kind="alarm_visit",state="planned"} 1.0',
        'meterwarden_heartbeat_age_seconds{identity="north",service="ingest"} 2.0',
        'meterwarden_ingest_readings_total{identity="north"} 120.0',
        'meterwarden_ingest_connected{identity="north"} 1.0',
        'meterwarden_ingest_refused_readings_total{identity="north"} 3.0',
        "meterwarden_gaps_open 1.0",
        "meterwarden_engine_backlog_rows 0.0",
    ):
        assert line in lines


def test_the_backlogs_age_is_measured(client, city):
    row = {"created_at": city.now - timedelta(seconds=40), "meter_keys": [1], "since": [city.now]}
    with city.database.transaction() as transaction:
        city.insert(transaction, "dirty_work", row)
    assert "meterwarden_engine_backlog_age_seconds 40.0" in client.get("/metrics").text
