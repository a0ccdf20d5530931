"""A real browser in front of a real server over a real database."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from api.app import create_app
from fleet.meters import Meter
from fleet.readings import ReadingBatch
from storage.database import Database
from storage.readings import write_readings
from storage.registry import load_meters, upsert_meters
from tests.conftest import missing_part

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Playwright keeps an event loop on the thread for as long as it lives: no longer than its module.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; skipped where it is not installed, unless every part is required."""
    binary = shutil.which("chromium")
    if binary is None:
        missing_part("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=binary, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def house(database: Database, now: datetime, make_meter: Callable[..., Meter]) -> Database:
    """Two meters, a day of readings, and three open alarms."""
    with database.transaction() as transaction:
        names = {"customer": "Grand Hotel", "contact": "duty desk", "phone": "000 0000 1234"}
        long = {"customer": "Laundry with a name that is far longer than any column, Pudong New Area branch"}
        upsert_meters(transaction, [make_meter("M1", **names), make_meter("004180800230671", **long)])
        keys = {known.meter.meter_id: known.meter_key for known in load_meters(transaction)}
        write_readings(transaction, _day_of_readings(keys["M1"], now))
        for meter_id, check, severity, value in (
            ("M1", "flow_over_range", "critical", 171.5),
            ("M1", "battery_low", "minor", 3.2),
            ("004180800230671", "meter_silent", "major", 86400.0),
        ):
            transaction.execute(
                "INSERT INTO alarm (company, meter_key, check_code, severity, state, onset_at, raised_at, "
                "readings, value) VALUES ('north', %(key)s, %(check)s, %(severity)s, 'active_unacked', "
                "%(at)s, %(at)s, 1, %(value)s)",
                {
                    "key": keys[meter_id],
                    "check": check,
                    "severity": severity,
                    "value": value,
                    "at": now - timedelta(hours=2),
                },
            )
        transaction.execute(
            "INSERT INTO task (company, customer, meter_key, kind, state, alarm_id, due_on, created_at) "
            "SELECT company, 'Grand Hotel', meter_key, 'alarm_visit', 'planned', alarm_id, "
            "DATE '2026-11-18', raised_at FROM alarm WHERE severity = 'critical'"
        )
    return database


def _day_of_readings(meter_key: int, now: datetime) -> ReadingBatch:
    n = 24
    times = [int((now - timedelta(hours=n - 1 - hour)).timestamp() * 1e6) for hour in range(n)]
    flow = np.where(np.arange(n) < 8, 0.0, 40.0 + 5.0 * np.arange(n))
    return ReadingBatch.build(
        n,
        meter_key=np.full(n, meter_key),
        device_time_us=times,
        received_us=times,
        flow_m3h=flow,
        volume_m3=1000.0 + np.cumsum(flow),
        pressure_kpa=np.full(n, 103.0),
        temperature_c=np.full(n, 18.0),
    )


@pytest.fixture
def address(house: Database, now: datetime) -> Iterator[str]:
    """Address of a running server; it stops with the test."""
    yield from _serve(house, now, token=None)


@pytest.fixture
def guarded_address(house: Database, now: datetime) -> Iterator[str]:
    """Address of a running server that wants the token `open sesame`."""
    yield from _serve(house, now, token="open sesame")


def _serve(database: Database, now: datetime, token: str | None) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(database, token=token, now=lambda: now)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    # The socket listens already: a request that comes too early waits in its queue.
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()


@dataclass
class Watched:
    """A page, and everything that must not happen on it."""

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)
    #: A status that the test provokes, and that the browser itself therefore reports.
    provoked: str = "none"

    def watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._on_request)

    def open(self, path: str) -> Page:
        self.page.goto(f"http://{self.host}{path}")
        return self.page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc != self.host:
            self.complaints.append(f"left the host: {request.url}")


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def open_browser(browser: Browser, width: int) -> Iterator[Callable[..., Watched]]:
    """Open a page on a server, in English unless asked otherwise; at the end nothing may have gone wrong."""
    opened: list[Watched] = []

    def start(address: str, **options: object) -> Watched:
        size = {"width": width, "height": 844}
        context = browser.new_context(viewport=size, locale="en-GB", **options)
        watched = Watched(context.new_page(), urlsplit(address).netloc)
        watched.watch()
        opened.append(watched)
        return watched

    yield start
    for watched in opened:
        watched.page.context.close()
    assert [
        text for one in opened for text in one.complaints if f"status of {one.provoked}" not in text
    ] == []


@pytest.fixture
def console(open_browser: Callable[..., Watched], address: str) -> Watched:
    return open_browser(address)
