"""Two people at the desk: a dealer who acts, by mouse and by keyboard, and a watcher who cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, expect, sync_playwright

from apps.dealing.api.actions import ACTIONS
from apps.dealing.models import DeskAction, DeskLayout
from apps.instruments import services as instruments
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.bench.desk_frames import FrameMaker
from piggy.bench.desk_ground import EngineVoice, WebProcess, seat_staff
from piggy.core.answers import Answer
from piggy.core.commands import Envelope
from tests.apps import records
from tests.apps.dealing.desk_floor import engine, symbol

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
GRIDSTACK = Path(__file__).resolve().parents[2] / "static/vendor/gridstack/gridstack-all.js"
ROWS: dict[str, dict[str, Any]] = {
    "requests": {
        "O7": {
            "order_id": "O7",
            "account_id": "A1",
            "symbol": "EURUSD",
            "side": "buy",
            "type": "market",
            "quantity": "2.00",
            "requested": "1.08440",
            "current": "1.08447",
            "slippage_points": "7",
            "held_at": 1_700_000_000_000_000,
            "expires_at": 4_000_000_000_000_000,
            "passes_on": False,
            "claimed_by": "",
            "requote": None,
            "requotes": 0,
        }
    },
    "hedges": {
        "H000000001": {
            "kind": "hedge",
            "hedge_id": "H000000001",
            "symbol": "EURUSD",
            "side": "buy",
            "quantity": "4.00",
            "filled": "0.00",
            "state": "queued",
            "queued": True,
            "at": 1_700_000_000_000_000,
        }
    },
    "margin": {
        "A1": {
            "account_id": "A1",
            "group": "b-book",
            "level_percent": "62.5",
            "distance": "120.00",
            "equity": "620.00",
            "used_margin": "1000.00",
            "free_margin": "-380.00",
            "floating": "-380.00",
            "balance": "1000.00",
            "call_percent": "100",
            "stop_out_percent": "50",
            "called": True,
        }
    },
    "states": {"symbol:GBPUSD": {"scope": "symbol", "key": "GBPUSD", "state": "halted", "by": "rick"}},
    "alerts": {
        "venue:LP1": {"key": "venue:LP1", "tone": "serious", "title": "LP1 is down", "text": "logged out", "since": 1}
    },
}

TRY = """async () => {
  const token = document.querySelector('meta[name=csrf]').content;
  const headers = {'Content-Type': 'application/json', 'X-CSRFToken': token, 'Idempotency-Key': 'k'};
  return (await fetch('/desk/actions/cover', {method: 'POST', body: '{}', headers})).status;
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
    pytest.mark.skipif(not GRIDSTACK.exists(), reason="the browser files are not set up"),
]


def done(envelope: Envelope) -> Answer:
    return Answer(command_id=envelope.command_id)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with WebProcess(log=tmp_path_factory.mktemp("web") / "web.log") as process:
        yield process


@pytest.fixture
def heard(acorn: Any, redis_server: Any, owner_sql: Any) -> Iterator[list[Envelope]]:
    voice = EngineVoice(tenant="acorn", maker=FrameMaker())
    voice.maker.rows.update(ROWS)
    voice.begin()
    with in_tenant("acorn"):
        records.client()
        for name in ("AUDUSD", "EURUSD"):
            instruments.save_instrument(tenant="acorn", instrument=symbol(name), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
    with engine(redis_server, owner_sql, done) as heard:
        yield heard


@pytest.fixture
def keys(heard: list[Envelope]) -> dict[str, str]:
    """Sessions of a dealer and of a watcher."""
    roles = {"dora": "dealer", "wanda": "watcher"}
    return {name: seat_staff(tenant="acorn", role=role, username=name) for name, role in roles.items()}


@pytest.fixture
def desk(web: WebProcess, keys: dict[str, str]) -> Iterator[Callable[[str], Page]]:
    """Open the desk as somebody; what the console said is in `page.said`."""

    def sit(name: str) -> Page:
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        cookie = {"name": "sessionid", "value": keys[name], "domain": "acorn.localhost", "path": "/"}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        said: list[str] = []
        page.said = said  # type: ignore[attr-defined]
        page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://acorn.localhost:{web.port}/desk/")
        expect(page.locator("[data-strip=connection]")).to_contain_text("Live", timeout=20_000)
        expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible(timeout=20_000)
        return page

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield sit
        browser.close()


def in_acorn(read: Callable[[], Any]) -> Any:
    """Read the tables from a thread of its own: the browser's driver has an event loop in this one."""

    def inside() -> Any:
        with in_tenant("acorn"):
            found = read()
        connection.close()
        return found

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


def asked(heard: list[Envelope]) -> list[str]:
    return [type(envelope.command).__name__ for envelope in heard if envelope.reply_to]


def fill_in(page: Page, **values: str) -> None:
    for name, value in values.items():
        field = page.locator(f"#action [name={name}]")
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.locator("#action [name=reason]").fill("because of the news")


def submit(page: Page) -> None:
    page.locator("#action [type=submit]").click()


def test_a_dealer_walks_through_the_actions(desk: Callable[[str], Page], heard: list[Envelope]) -> None:
    page = desk("dora")
    page.keyboard.press("F9")
    fill_in(page, account_id="A1", symbol="EURUSD", side="sell", quantity="1.50")
    submit(page)
    expect(page.locator(".form-confirm")).to_contain_text("SELL 1.50 (one point five zero) lots of EURUSD for A1")
    assert asked(heard) == [], "the first press only asks again"
    submit(page)
    expect(page.locator("#messages")).to_contain_text("Order for a client")
    expect(page.locator("#grid-requests .tabulator-row")).to_contain_text("▲ 7")
    for key in ("g", "r", "j", "Space"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.locator("#action")).to_be_hidden()
    for key in ("g", "e", "j", "h"):
        page.keyboard.press(key)
    submit(page)
    expect(page.locator(".form-fault")).to_contain_text("Reason is missing")
    fill_in(page)
    submit(page)
    submit(page)
    expect(page.locator("#action")).to_be_hidden()
    page.keyboard.press("2")
    expect(page.locator("#grid-hedges .tabulator-row")).to_have_count(1)
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.keyboard.press("j")
    page.keyboard.press("c")
    fill_in(page)
    submit(page)
    expect(page.locator("#action")).to_be_hidden()
    page.keyboard.press("Shift+K")
    fill_in(page, scope="symbol", key="EURUSD")
    submit(page)
    submit(page)
    expect(page.locator(".form-fault")).to_contain_text('Confirm with "EURUSD"')
    page.locator("#action [name=confirm]").fill("EURUSD")
    submit(page)
    expect(page.locator("#action")).to_be_hidden()
    assert asked(heard) == ["PlaceOrder", "FillByDealer", "CoverByHand", "ApproveHedge", "SetTradingState"]
    page.keyboard.press("3")
    bad_prices_are_taken_back(page)
    assert asked(heard)[-1] == "BustFills"
    page.keyboard.press("4")
    expect(page.locator("#grid-journal .tabulator-row")).to_have_count(6, timeout=10_000)
    assert in_acorn(DeskAction.objects.count) == 6
    assert [text for text in page.said if "422" not in text] == []  # type: ignore[attr-defined]


def bad_prices_are_taken_back(page: Page) -> None:
    """From the fill under the cursor to a look at its window, and only then the bust."""
    expect(page.locator("#grid-deals .tabulator-row")).to_contain_text("stands", timeout=10_000)
    expect(page.locator(".chart-frame canvas").first).to_be_visible()
    for key in ("g", "f", "j", "b"):
        page.keyboard.press(key)
    expect(page.locator("#action [name=symbol]")).to_have_value("EURUSD")
    fill_in(page, price_from="2", price_to="3")
    submit(page)
    expect(page.locator(".form-fault")).to_contain_text("No fill stands there.")
    fill_in(page, price_from="1.09", price_to="1.11")
    submit(page)
    expect(page.locator(".form-confirm")).to_contain_text("O1-1")
    expect(page.locator(".form-confirm")).to_contain_text("Money that would move")
    submit(page)
    expect(page.locator("#action")).to_be_hidden()


def test_a_panel_lives_in_a_window_of_its_own(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    with page.expect_popup() as opened:
        page.locator(".panel-quotes [data-action=pop-out]").click()
    window = opened.value
    expect(window.locator("#grid-quotes .tabulator-row").first).to_be_visible(timeout=20_000)
    expect(window.locator(".panel")).to_have_count(1)
    page.locator("[data-strip=floating]").click()
    expect(page.locator("#drawer")).to_contain_text("Clients' open profit of every symbol")
    assert page.said == []  # type: ignore[attr-defined]


def test_terms_are_changed_for_a_while_and_put_back(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    page.keyboard.press("4")
    page.locator(".panel-changes [data-kind=change-routing]").click()
    fill_in(page, group="b-book", book_mode="A", minutes="5")
    submit(page)
    expect(page.locator("#grid-changes .tabulator-row")).to_contain_text("live", timeout=10_000)
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.keyboard.press("j")
    page.locator(".panel-changes [data-kind=end-change]").click()
    fill_in(page)
    submit(page)
    expect(page.locator("#grid-changes .tabulator-row")).to_contain_text("ended", timeout=10_000)
    assert page.said == []  # type: ignore[attr-defined]


def test_a_watcher_has_no_button_and_is_refused_all_the_same(
    desk: Callable[[str], Page], heard: list[Envelope]
) -> None:
    page = desk("wanda")
    for number in "1234":
        page.keyboard.press(number)
        expect(page.locator("[data-kind]")).to_have_count(0)
    assert set(page.evaluate("Object.keys(desk.dialog.forms)")) == set(ACTIONS), "an action without a form"
    assert page.evaluate("Object.keys(desk.dialog.forms).filter(kind => desk.dialog.can(kind))") == []
    expect(page.locator("[data-action=kill]")).to_have_count(0)
    for key in ("F9", "Shift+K", "h"):
        page.keyboard.press(key)
    expect(page.locator("#action")).to_be_hidden()
    assert page.evaluate(TRY) == 403
    assert asked(heard) == []


def test_the_page_remembers_where_its_dealer_put_the_panels(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    page.locator(".panel-venues [data-action=close-panel]").click()
    expect(page.locator(".panel-venues")).to_have_count(0)
    page.keyboard.press("m")
    page.wait_for_timeout(1_500)
    kept = in_acorn(DeskLayout.objects.get).layout
    assert "venues" not in kept["places"]["Dealing"]
    assert kept["extra"] == {"sound": True}
    page.reload()
    expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible(timeout=20_000)
    expect(page.locator(".panel-venues")).to_have_count(0)
    expect(page.locator("[data-action=sound]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Control+k")
    page.keyboard.type("lp health")
    page.keyboard.press("Enter")
    expect(page.locator(".panel-venues")).to_be_visible()
    assert page.said == []  # type: ignore[attr-defined]


def test_a_figure_says_why_it_is_what_it_is(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    shown = page.evaluate("desk.store.row('exposure', 'AUDUSD').client_long")
    page.keyboard.press("j")
    page.keyboard.press("w")
    expect(page.locator("#drawer")).to_contain_text("Clients' long lots less their short lots.")
    expect(page.locator("#drawer")).to_contain_text(shown.rstrip("0").rstrip("."))
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert page.said == []  # type: ignore[attr-defined]


def serious_faults(page: Page) -> list[str]:
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def test_no_workspace_dialog_or_drawer_keeps_anybody_out(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    page.add_script_tag(url="/static/vendor/axe/axe.min.js")
    for theme in ("dark", "light"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        for number in "234":
            page.keyboard.press(number)
            page.wait_for_timeout(500)
            assert serious_faults(page) == [], (theme, number)
        page.keyboard.press("Shift+K")
        assert serious_faults(page) == [], (theme, "dialog")
        page.keyboard.press("Escape")
        for key in ("1", "j", "w"):
            page.keyboard.press(key)
        expect(page.locator("#drawer")).to_be_visible()
        assert serious_faults(page) == [], (theme, "drawer")
        page.keyboard.press("Escape")
    assert page.said == []  # type: ignore[attr-defined]
