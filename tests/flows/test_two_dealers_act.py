"""People at the desk: a dealer who acts, by mouse and by keyboard, and a watcher who cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from apps.dealing.api.actions import ACTIONS
from apps.dealing.models import DeskAction, DeskLayout
from piggy.core.commands import Envelope, PlaceOrder
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from tests.flows.desk_people import IN_BROWSER, asked, fill_in, in_acorn, serious_faults, submit

TRY = """async () => {
  const token = document.querySelector('meta[name=csrf]').content;
  const headers = {'Content-Type': 'application/json', 'X-CSRFToken': token, 'Idempotency-Key': 'k'};
  return (await fetch('/desk/actions/cover', {method: 'POST', body: '{}', headers})).status;
}"""

# Of every dialog: what has no name, and what does not close.
UNNAMED = """() => {
  const wrong = [], dialog = document.querySelector('#action');
  for (const kind of Object.keys(desk.dialog.forms)) {
    desk.dialog.open(kind, {});
    const title = document.getElementById(dialog.getAttribute('aria-labelledby'));
    if (!title?.textContent) wrong.push(kind);
    const fields = [...dialog.querySelectorAll('input, select, textarea')];
    wrong.push(...fields.filter(({labels}) => !labels.length).map(({name}) => `${kind} ${name}`));
    dialog.close();
  }
  return wrong;
}"""
# Of every panel that is open: what scrolls sideways, or is cut off at its edge.
SIDEWAYS = """() => [...document.querySelectorAll('.panel, .panel > header, .tabulator-tableholder, .ladder')]
  .filter((part) => part.isConnected && part.scrollWidth > part.clientWidth + 1)
  .map((part) => `${part.closest('.panel').className} ${part.scrollWidth - part.clientWidth}`)"""
# What of the strip on top is cut off, covered or pushed out, once profits are large.
CUT_OFF = """() => {
  for (const [name, text] of [['floating', '−12 345 678'], ['realised', '+98 765 432'], ['margin-calls', '128']]) {
    document.querySelector(`[data-strip=${name}]`).textContent = text;
  }
  document.querySelector('[data-strip=connection]').textContent = '● Live';
  const shown = '.strip-facts > :not(.wide) dd, .strip-lamps dd, [data-action=kill]';
  return [...document.querySelectorAll(shown)].filter((part) => {
    const {right, top, height} = part.getBoundingClientRect();
    const seen = document.elementFromPoint(right - 2, top + height / 2);
    return part.scrollWidth > part.clientWidth + 1 || right > innerWidth || !part.contains(seen);
  }).map((part) => part.dataset.strip ?? part.dataset.action);
}"""
# Rows are put where the first whole picture of the orders was.
ORDERS_CAME = "() => desk.store.panels.has('orders') && document.querySelector('#grid-orders .tabulator-tableholder')"
# Fill the blotter, scroll it, let orders come in above; what is at its edges then, and how many rows are in sight.
SCROLLED = """async (by) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const shown = async () => {
    const count = document.querySelector('[data-count=orders]');
    while (Number(count.textContent) !== desk.store.rows('orders').size) await frame();
    await frame();
  };
  const row = (number) => ({order_id: `X${number}`, account_id: 'A1', symbol: 'EURUSD', side: 'buy', type: 'market',
    quantity: '1.00', filled: '1.00', leaves: '0', average_price: '1.08', state: 'filled', at: 4e15 + 1000 * number});
  const state = desk.store.panels.get('orders'), holder = document.querySelector('#grid-orders .tabulator-tableholder');
  const put = (keys) => {
    for (const key of keys) state.rows.set(`X${key}`, {...row(key), key: `X${key}`});
    desk.store.tell('orders', keys.map((key) => `X${key}`), false);
  };
  const seen = () => {
    const {top, bottom} = holder.getBoundingClientRect();
    const within = [...holder.querySelectorAll('.tabulator-row')].filter((each) => {
      const box = each.getBoundingClientRect();
      return box.bottom > top + 1 && box.top < bottom - 1;
    });
    const last = within.at(-1)?.getBoundingClientRect().bottom ?? 0;
    return {first: within[0]?.querySelector('[tabulator-field=at]').textContent, isFull: last >= bottom - 1};
  };
  put([...Array(150).keys()]);
  await shown();
  holder.scrollTop = by;
  await frame();
  const before = seen();
  for (let number = 200; number < 206; number += 1) {
    put([number]);
    await shown();
  }
  return {before, after: seen()};
}"""
pytestmark = IN_BROWSER


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
    expect(page.locator("#grid-journal .tabulator-row")).to_have_count(6)
    assert in_acorn(DeskAction.objects.count) == 6
    assert [text for text in page.said if "422" not in text] == []  # type: ignore[attr-defined]


def test_the_ticket_shows_and_sends_what_belongs_to_the_kind_of_order(
    desk: Callable[[str], Page], heard: list[Envelope]
) -> None:
    page = desk("dora")
    page.keyboard.press("F9")
    fill_in(page, account_id="A1", symbol="EURUSD", quantity="1.50", type="stop_limit", more="yes")
    fill_in(page, limit_price="1.12", stop_price="1.11", stop_loss="1.09", minimum_quantity="0.5", time_in_force="gtd")
    fill_in(page, expires_at="2030-01-01T10:00:00", display_quantity="0.2")
    expect(page.locator(".form-quote")).to_contain_text(re.compile(r"^EURUSD: bid [\d.]+, ask [\d.]+"))
    expect(page.locator("#action [name=trailing_distance]")).to_be_hidden()
    assert serious_faults(page, within="#action") == []
    # What does not belong to the choices any more is neither shown nor sent.
    fill_in(page, type="trailing_stop", trailing_distance="0.005", more="")
    for name in ("limit_price", "stop_price", "minimum_quantity", "display_quantity"):
        expect(page.locator(f"#action [name={name}]")).to_be_hidden()
    submit(page)
    expect(page.locator(".form-confirm")).to_contain_text("distance 0.005 (zero point zero zero five), stop loss 1.09")
    submit(page)
    expect(page.locator("#action")).to_be_hidden()
    (command,) = [envelope.command for envelope in heard if envelope.reply_to]
    assert isinstance(command, PlaceOrder)
    assert command.terms == OrderTerms(
        account_id="A1", symbol="EURUSD", side=Side.BUY, quantity=Decimal("1.5"), type=OrderType.TRAILING_STOP,
        trailing_distance=Decimal("0.005"), stop_loss=Decimal("1.09"), time_in_force=TimeInForce.GTD,
        expires_at_us=1_893_492_000_000_000,
    )  # fmt: skip
    assert page.said == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("by", [0, 30, 255, 460, 1700])
def test_a_scrolled_blotter_stays_where_it_is_and_full_as_orders_come_in(desk: Callable[[str], Page], by: int) -> None:
    page = desk("dora")
    page.wait_for_function(ORDERS_CAME)
    found = page.evaluate(SCROLLED, by)
    assert found["before"]["isFull"] and found["after"]["isFull"], found
    assert (found["before"]["first"] == found["after"]["first"]) == (by > 0), "at the top the newest is in sight"


def test_the_strip_loses_no_lamp_on_a_laptop(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    for width in (1280, 1366):
        page.set_viewport_size({"width": width, "height": 768})
        assert page.evaluate(CUT_OFF) == [], width
    expect(page.locator(".panel-ladder .hint")).to_be_visible()


def bad_prices_are_taken_back(page: Page) -> None:
    """From the fill under the cursor to a look at its window, and only then the bust."""
    expect(page.locator("#grid-deals .tabulator-row")).to_contain_text("stands")
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
    expect(window.locator("#grid-quotes .tabulator-row").first).to_be_visible()
    expect(window.locator(".panel")).to_have_count(1)
    page.locator("[data-strip=floating]").click()
    expect(page.locator("#drawer")).to_contain_text("Clients' open profit of every symbol")
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
    page.wait_for_function("() => !desk.layout.timer")
    kept = in_acorn(DeskLayout.objects.get).layout
    assert "venues" not in kept["places"]["Dealing"]
    assert kept["extra"] == {"sound": True}
    page.reload()
    expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible()
    expect(page.locator(".panel-venues")).to_have_count(0)
    expect(page.locator("[data-action=sound]")).to_have_attribute("aria-pressed", "true")
    narrow_and_wide_again(page, kept["places"]["Dealing"])
    page.keyboard.press("Control+k")
    page.keyboard.type("lp health")
    page.keyboard.press("Enter")
    expect(page.locator(".panel-venues")).to_be_visible()
    assert page.said == []  # type: ignore[attr-defined]


def narrow_and_wide_again(page: Page, places: dict[str, dict[str, int]]) -> None:
    """In one column panels stand in reading order, and a wide window has them where they were."""
    page.set_viewport_size({"width": 768, "height": 900})
    page.wait_for_function("() => desk.layout.wasNarrow")
    tops = [page.locator(f".panel-{name}").bounding_box() for name in ("exposure", "quotes", "orders")]
    assert [box["y"] for box in tops if box] == sorted(box["y"] for box in tops if box)
    page.set_viewport_size({"width": 1600, "height": 900})
    page.wait_for_function("() => !desk.layout.wasNarrow")
    assert page.evaluate("desk.layout.places.Dealing") == places


def choose_the_first(page: Page) -> None:
    """A key moves between rows that are there: while a table is filled anew there is none."""
    for _ in range(50):
        page.keyboard.press("k")
        if page.locator("#grid-exposure .tabulator-row.cursor").count():
            return
        page.wait_for_timeout(100)
    raise AssertionError("no row is under the cursor")


def test_a_figure_says_why_it_is_what_it_is(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    shown = page.evaluate("desk.store.row('exposure', 'AUDUSD').client_long")
    choose_the_first(page)
    page.keyboard.press("w")
    expect(page.locator("#drawer")).to_contain_text("Clients' long lots less their short lots.")
    expect(page.locator("#drawer")).to_contain_text(shown.rstrip("0").rstrip("."))
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert page.said == []  # type: ignore[attr-defined]


def test_no_workspace_dialog_or_drawer_keeps_anybody_out(desk: Callable[[str], Page]) -> None:
    page = desk("dora")
    for theme in ("dark", "light"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        for number in "234":
            page.keyboard.press(number)
            page.wait_for_timeout(500)
            assert serious_faults(page) == [], (theme, number)
        page.keyboard.press("Shift+K")
        assert serious_faults(page) == [], (theme, "dialog")
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        choose_the_first(page)
        page.keyboard.press("w")
        expect(page.locator("#drawer")).to_be_visible()
        assert serious_faults(page) == [], (theme, "drawer")
        page.keyboard.press("Escape")
    assert page.evaluate(UNNAMED) == [], "axe takes seconds for each of the dialogs; that all is named is read here"
    at_a_glance_on_a_phone(page)
    assert page.said == []  # type: ignore[attr-defined]


def at_a_glance_on_a_phone(page: Page) -> None:
    """No panel scrolls sideways, and each of its buttons is there."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => !desk.layout.timer")
    page.reload()
    expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible()
    for number in "1234":
        page.keyboard.press(number)
        page.wait_for_timeout(500)
        assert page.evaluate(SIDEWAYS) == [], number
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), number
    assert serious_faults(page) == []
