"""The console in a browser, on a desk and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PAGES = ("/", "/tasks", "/obligations", "/meters", "/meters/M1", "/alarms/1", "/meters?search=nothing")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_scrolls_sideways(console, language):
    for path in PAGES:
        page = console.open(f"{path}{'&' if '?' in path else '?'}lang={language}")
        if "/M1" in path:
            expect(page.locator("#chart canvas")).to_be_visible()
        widths = page.evaluate(
            "[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"
        )
        assert max(widths[:2]) <= widths[2], path


def test_open_alarms_are_there_worst_first(console):
    page = console.open("/")
    rows = page.locator("#board tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("Critical")
    expect(rows.first).to_contain_text("171.5 m³/h")
    expect(rows.first.get_by_role("button", name="Acknowledge")).to_be_in_viewport(ratio=0.1)


def test_acknowledging_stays_on_the_page_and_keeps_the_focus(console):
    page = console.open("/")
    page.evaluate("window.still = true")
    row = page.locator("#alarm-1")
    button = row.get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("active, acknowledged")
    expect(row).to_contain_text("acknowledged by the console")
    expect(button).to_have_count(0)
    expect(row.get_by_role("link").first).to_be_focused()
    assert page.evaluate("window.still")
    expect(page.locator("#trouble")).to_be_hidden()


def test_acknowledging_works_without_scripts(open_browser, address):
    page = open_browser(address, java_script_enabled=False).open("/?severity=critical")
    page.get_by_role("button").click()
    expect(page.locator("#alarm-1")).to_contain_text("active, acknowledged")
    assert page.url.endswith("/?severity=critical")


def test_a_refresh_shows_what_is_new_and_moves_no_focus(console, house):
    console.page.clock.install()
    page = console.open("/")
    link = page.locator("#alarm-3 a").first
    link.focus()
    with house.transaction() as transaction:
        transaction.execute("UPDATE alarm SET value = 199 WHERE alarm_id = 1")
        transaction.execute("UPDATE alarm SET state = 'closed' WHERE alarm_id = 2")
    page.clock.fast_forward(10_100)
    expect(page.locator("#alarm-1")).to_contain_text("199 m³/h")
    expect(page.locator("#board tbody tr")).to_have_count(2)
    expect(link).to_be_focused()


def test_what_another_person_did_first_is_said(open_browser, address, house):
    console = open_browser(address)
    console.provoked = "409"
    page = console.open("/")
    with house.transaction() as transaction:
        transaction.execute(
            "UPDATE alarm SET state = 'active_acked', acknowledged_by = 'Han' WHERE alarm_id = 1"
        )
    page.locator("#alarm-1").get_by_role("button").click()
    expect(page.locator("#trouble")).to_contain_text("fetched anew")
    expect(page.locator("#alarm-1")).to_contain_text("acknowledged by Han")


def test_filters_are_links_and_live_in_the_address(console):
    page = console.open("/")
    page.get_by_role("link", name="Major").click()
    expect(page.locator("#board tbody tr")).to_have_count(1)
    assert page.url.endswith("/?severity=major")
    page.go_back()
    expect(page.locator("#board tbody tr")).to_have_count(3)


def test_the_language_is_switched_and_stays(console):
    page = console.open("/")
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("未关闭报警")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("link", name="任务", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("待办任务")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Open tasks")


def test_a_meters_page_draws_its_chart_for_every_span(console):
    page = console.open("/meters/M1")
    for span in ("24 hours", "7 days", "30 days"):
        page.get_by_role("link", name=span).click()
        expect(page.locator("#chart canvas")).to_be_visible()
        expect(page.get_by_role("link", name=span)).to_have_attribute("aria-current", "true")
    drawn = page.evaluate(
        """() => { const c = document.querySelector('#chart canvas');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value) => value !== 0); }"""
    )
    assert drawn
    page.get_by_text("The same as a table").click()
    expect(page.locator("details table").first).to_be_visible()


def test_a_meter_without_data_says_so_in_place_of_the_chart(console):
    page = console.open("/meters/004180800230671")
    expect(page.locator("#chart")).to_have_text("No data in this span.")
    expect(page.locator("[data-status]")).to_have_attribute("data-status", "never")


def test_the_first_tab_leads_past_the_header(console):
    page = console.open("/meters")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_signing_in_with_the_token(open_browser, guarded_address):
    console = open_browser(guarded_address)
    console.provoked = "401"
    page = console.open("/tasks?overdue=1")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Open tasks")
    assert page.url.endswith("/tasks?overdue=1")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest('.unseen, .skip, [hidden], canvas') || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${element.className || element.tagName}: ${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 20)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(open_browser, address, scheme):
    console = open_browser(address, color_scheme=scheme)
    for path in ("/", "/tasks", "/meters", "/meters/M1", "/alarms/1"):
        assert console.open(path).evaluate(CONTRASTS) == [], path
