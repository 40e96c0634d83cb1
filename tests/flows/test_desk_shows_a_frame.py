"""A dealer opens the desk in a browser: what the engine says is on the page within a second, also after a lost line."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from piggy.bench.desk_frames import FrameMaker
from piggy.bench.desk_ground import EngineVoice, WebProcess, seat_staff

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
AXE = Path(__file__).resolve().parents[2] / "static/vendor/axe/axe.min.js"

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
    pytest.mark.skipif(not AXE.exists(), reason="the browser files are not set up"),
]


@pytest.fixture
def voice(acorn: Any, redis_server: Any) -> EngineVoice:
    voice = EngineVoice(tenant="acorn", maker=FrameMaker())
    voice.begin()
    return voice


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with WebProcess(log=tmp_path_factory.mktemp("web") / "web.log") as process:
        yield process


@pytest.fixture
def page(voice: EngineVoice, web: WebProcess) -> Iterator[Page]:
    """The open desk of a dealer; what the console said is in `page.said`."""
    key = seat_staff(tenant="acorn", role="dealer", username="dora")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        cookie = {"name": "sessionid", "value": key, "domain": "acorn.localhost", "path": "/"}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        said: list[str] = []
        page.said = said  # type: ignore[attr-defined]
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://acorn.localhost:{web.port}/desk/")
        expect(page.locator("[data-strip=connection]")).to_contain_text("Live")
        expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible()
        yield page
        browser.close()


def serious_faults(page: Page) -> list[str]:
    page.add_script_tag(url="/static/vendor/axe/axe.min.js")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def test_a_frame_is_on_the_page_within_a_second(page: Page, voice: EngineVoice) -> None:
    took_s, is_shown = [], "key => [...document.querySelectorAll('#grid-orders [title]')].some(n => n.title === key)"
    # The best of three: a machine busy with other tests may be slow once, a page that waits for a poll is always.
    while min(took_s, default=1.0) >= 1:
        assert len(took_s) < 3, took_s
        frame = voice.maker.order()
        ((key, row),) = json.loads(frame)["rows"].items()
        began_s = time.monotonic()
        voice.say([frame])
        page.wait_for_function(is_shown, arg=key)
        took_s.append(time.monotonic() - began_s)
    expect(page.locator("#grid-orders .tabulator-row").first).to_contain_text(row["reason"])
    assert page.said == []  # type: ignore[attr-defined]


WRONG = """() => {
  const wrong = [];
  const bare = (text) => text.replaceAll("\u2009", "").replace("\u2212", "-");
  const plain = (text) => bare(text).replace(/^[^0-9+-]+/, "").replace("+", "");
  for (const [panel, field] of [["exposure", "mark"], ["exposure", "floating"], ["quotes", "bid"], ["quotes", "ask"]]) {
    const frame = document.querySelector(`#grid-${panel} .tabulator-tableholder`).getBoundingClientRect();
    const isInSight = ({ top, bottom }) => top < frame.bottom && bottom > frame.top;
    const all = [...document.querySelectorAll(`#grid-${panel} .tabulator-table .tabulator-row`)];
    const rows = all.filter((row) => isInSight(row.getBoundingClientRect()));
    if (rows.length < 3) wrong.push(`${rows.length} rows of ${panel}`);
    for (const row of rows) {
      const text = (name) => row.querySelector(`[tabulator-field=${name}]`).textContent;
      const [symbol, shown] = [text("symbol"), text(field)];
      const told = desk.store.row(panel, symbol)[field];
      if (!plain(shown).startsWith(told)) wrong.push(`${symbol} ${field}: ${shown} and not ${told}`);
    }
  }
  return wrong;
}"""


def wrong_cells(page: Page) -> list[str]:
    """What cells say and the desk does not; a page draws a few times a second, so it is asked again for a while."""
    until_s = time.monotonic() + 8
    while (wrong := page.evaluate(WRONG)) and time.monotonic() < until_s:
        page.wait_for_timeout(100)
    return list(wrong)


def test_what_is_in_sight_says_what_the_desk_says(page: Page, voice: EngineVoice) -> None:
    """Rows are written in place: sorted, scrolled or flooded, a cell never shows a number that is no longer so."""
    for sort in ("", "Uncovered", "Symbol"):
        if sort:
            page.locator("#grid-exposure .tabulator-col-title", has_text=sort).click()
        for _ in range(8):
            voice.say(voice.maker.tick(symbols=7))
        assert wrong_cells(page) == []
    page.locator("#grid-exposure .tabulator-tableholder").evaluate("holder => { holder.scrollTop = 1_000 }")
    assert wrong_cells(page) == []
    for _ in range(220):
        voice.say([voice.maker.order()])
    latest = list(voice.maker.rows["orders"])[-1]
    page.wait_for_function("key => desk.store.row('orders', key)", arg=latest)
    assert page.evaluate("desk.store.rows('orders').size") == len(voice.maker.rows["orders"]) == 200
    expect(page.locator("[data-count=orders]")).to_have_text("200")
    expect(page.locator("#grid-orders .tabulator-row").first).to_contain_text(latest[-8:])
    page.locator("#grid-orders .tabulator-tableholder").evaluate("holder => { holder.scrollTop = holder.scrollHeight }")
    oldest = next(iter(voice.maker.rows["orders"]))
    expect(page.locator("#grid-orders .tabulator-row").last).to_contain_text(oldest[-8:])
    assert page.said == []  # type: ignore[attr-defined]


def test_a_reconnect_ends_in_the_state_of_the_snapshot(page: Page, voice: EngineVoice) -> None:
    """INV-25, in the browser."""
    page.evaluate("desk.line.socket.close()")
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#banner")).to_contain_text("Numbers are as of")
    for _ in range(5):
        voice.say([*voice.maker.tick(symbols=6), voice.maker.order()])
    voice.keep()
    expect(page.locator("[data-strip=connection]")).to_contain_text("Live")
    expect(page.locator("#banner")).to_be_hidden()
    # A page is told with a number of its own and a beat later, so what it shows is waited for.
    for panel in ("exposure", "quotes", "venues", "orders", "summary"):
        script = """async panel => {
          const told = (await (await fetch(`/desk/snapshot/${panel}`)).json()).rows;
          const shown = Object.fromEntries(desk.store.rows(panel));
          const plain = (rows) => JSON.stringify(Object.keys(rows).sort().map((key) => [key, {...rows[key], key}]));
          return plain(shown) === plain(told);
        }"""
        page.wait_for_function(script, arg=panel, polling=100)


def test_the_desk_can_be_worked_from_the_keyboard(page: Page) -> None:
    # A key moves between rows that are there: on a busy machine the frames come before the rows are drawn.
    for grid in ("quotes", "orders", "exposure"):
        expect(page.locator(f"#grid-{grid} .tabulator-table .tabulator-row").nth(1)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.locator(".panel-quotes")).to_have_class("panel panel-quotes active")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#grid-quotes .detail-table")).to_contain_text("LP3")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#grid-orders .decision")).to_contain_text("Rule")
    page.keyboard.press("/")
    page.keyboard.type("eurusd")
    page.keyboard.press("Enter")
    expect(page.locator("#grid-exposure .tabulator-table .tabulator-row")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("#grid-exposure .tabulator-table .tabulator-row")).to_have_count(11)
    page.keyboard.press("Shift+?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    assert page.said == []  # type: ignore[attr-defined]


def margin_rows(**levels: str | None) -> dict[str, dict[str, Any]]:
    terms = {"group": "b-book", "call_percent": "100", "stop_out_percent": "50", "called": False}
    return {name: {"account_id": name, "level_percent": level, **terms} for name, level in levels.items()}


def test_the_most_endangered_account_comes_first_and_no_row_jumps_under_the_pointer(
    page: Page, voice: EngineVoice
) -> None:
    names = page.locator("#grid-margin .tabulator-row [tabulator-field=account_id]")
    page.keyboard.press("2")
    voice.say([voice.maker.tell("margin", margin_rows(A1="80", A2="120", A3="200", A4=None, A0="80"))])
    expect(names).to_have_text(["A0", "A1", "A2", "A3", "A4"])
    voice.say([voice.maker.tell("margin", margin_rows(A3="60.5"))])
    expect(names).to_have_text(["A3", "A0", "A1", "A2", "A4"])
    names.nth(1).hover()
    voice.say([voice.maker.tell("margin", margin_rows(A2="55", A5="10"))])
    expect(page.locator("[data-count=margin]")).to_have_class(re.compile("held"))
    expect(names).to_have_text(["A5", "A3", "A0", "A1", "A2", "A4"])
    expect(page.locator("#grid-margin .tabulator-row").nth(4)).to_contain_text("55 %")
    page.mouse.move(5, 5)
    expect(names).to_have_text(["A5", "A2", "A3", "A0", "A1", "A4"])
    assert page.said == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1920, 1366, 768])
def test_nothing_keeps_anybody_out(page: Page, voice: EngineVoice, theme: str, width: int) -> None:
    voice.say(voice.maker.tick(symbols=11))
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    page.locator("#grid-orders .tabulator-row").first.click()
    assert serious_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
