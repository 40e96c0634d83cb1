"""Two dealers at once walk every panel and every action, and lose the line in the middle."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from apps.dealing.api.actions import ACTIONS
from apps.dealing.models import DeskAction, TimedChange
from apps.dealing.selectors import PANELS
from piggy.core.commands import Envelope
from tests.flows.desk_people import IN_BROWSER, in_acorn, submit

pytestmark = IN_BROWSER
# Who does what, with what beside the reason; a four-eyes step names what the other asked for last.
WALK: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dora", "set-trading-state", {"scope": "account", "key": "A1", "state": "reducing"}),
    ("rick", "place-order", {"account_id": "A1", "symbol": "EURUSD", "side": "buy", "quantity": "1.00"}),
    ("dora", "amend-order", {"order_id": "O1", "limit_price": "1.2"}),
    ("dora", "cancel-order", {"order_id": "O1"}),
    ("dora", "claim-request", {"order_id": "O7"}),
    ("dora", "requote-request", {"order_id": "O7", "price": "1.08450"}),
    ("dora", "fill-request", {"order_id": "O7", "at": "market"}),
    ("rick", "pass-request", {"order_id": "O7"}),
    ("rick", "reject-request", {"order_id": "O7", "code": "news"}),
    ("dora", "cover", {"symbol": "EURUSD", "side": "buy", "quantity": "2"}),
    ("rick", "approve-hedge", {"hedge_id": "H000000001"}),
    ("dora", "reject-hedge", {"hedge_id": "H000000001"}),
    ("dora", "change-routing", {"group": "b-book", "book_mode": "A", "minutes": "5"}),
    ("rick", "end-change", {"change_id": "change-routing"}),
    ("dora", "widen-spread", {"group": "b-book"}),
    ("dora", "change-limits", {"group": "b-book", "value": "5"}),
    ("rick", "reject-change", {"change_id": "change-limits"}),
    ("dora", "change-limits", {"group": "b-book", "value": "6"}),
    ("rick", "approve-change", {"change_id": "change-limits"}),
    ("dora", "bust-fill", {"seq": "3", "fill_id": "O1-1"}),
    ("rick", "correct-fill", {"seq": "3", "fill_id": "O1-1", "price": "1.09"}),
    (
        "dora",
        "bust-window",
        {
            "symbol": "EURUSD",
            "price_from": "1.09",
            "price_to": "1.11",
            "since": "2030-01-01T00:00:00",
            "until": "2030-01-01T00:00:01",
        },
    ),
    ("rick", "flatten", {"scope": "group", "key": "b-book"}),
    ("dora", "change-phase", {"symbol": "EURUSD", "phase": "closing_call", "call_s": "60"}),
    ("dora", "record-locates", {"rows": "A1, EURUSD, 5, L1, 2031-01-01T00:00:00Z"}),
    ("rick", "record-volumes", {"rows": "EURUSD, 2029-12-31, 120000"}),
    ("dora", "ask-override", {"order_id": "O1", "codes": "P-08"}),
    ("rick", "grant-override", {"action_id": "ask-override"}),
    ("dora", "ask-settlement", {"cl_ord_id": "O1-LP1-1", "lots": "0.4", "price": "1.0999", "fill_id": "E77"}),
    (
        "rick",
        "settle-doubt",
        {"action_id": "ask-settlement", "cl_ord_id": "O1-LP1-1", "lots": "0.4", "price": "1.0999", "fill_id": "E77"},
    ),
    ("dora", "release-throttle", {"account_id": "A1"}),
    ("rick", "set-exits", {"position_id": "A1:EURUSD", "trailing_distance": "0.005", "no_take_profit": True}),
    ("dora", "close-all", {"account_id": "A1", "which": "losing"}),
    ("rick", "score-account", {"account_id": "A1", "score": "2.5"}),
)
LOST_AT = len(WALK) // 2
# The server does what was asked, and its answer never comes: these a dealer would press again.
ANSWERS_LOST = {"claim-request", "fill-request", "requote-request", "approve-hedge", "bust-fill", "approve-change"}
LOSE_ONE = """() => {
  const real = window.fetch;
  window.fetch = async (...given) => {
    if (!String(given[0]).startsWith('/desk/actions/')) return real(...given);
    window.fetch = real;
    await real(...given);
    throw new TypeError('the line was cut');
  };
}"""
assert {kind for _, kind, _ in WALK} == set(ACTIONS), "an action that nobody walks"


def referred(kind: str) -> str:
    """The number of what was asked for last: a change for a while, or an entry of the book of actions."""
    if kind in ("ask-override", "ask-settlement"):
        return str(in_acorn(lambda: DeskAction.objects.filter(kind=kind).latest("id").pk))
    return str(in_acorn(lambda: TimedChange.objects.filter(kind=kind).latest("id").pk))


def act(page: Page, kind: str, values: dict[str, Any]) -> None:
    """Open the action's form, fill it in, confirm what has to be confirmed, and see it gone.

    The first press is a double click, of which the second falls on the button that confirms.
    """
    given = {name: referred(value) if name in ("change_id", "action_id") else value for name, value in values.items()}
    page.evaluate("([kind, values]) => desk.dialog.open(kind, values)", [kind, given])
    page.locator("#action [name=reason]").fill("because of the news")
    if kind in ANSWERS_LOST:
        page.evaluate(LOSE_ONE)
    confirms = page.evaluate("Boolean(desk.dialog.spec.confirm?.(desk.dialog.values()))")
    page.locator("#action [type=submit]").dblclick()
    if confirms:
        expect(page.locator("#action .danger")).to_be_visible()
        if page.locator("#action [name=confirm]").count():
            words = page.locator(".form-confirm label span").inner_text()
            page.locator("#action [name=confirm]").fill(words.removeprefix("Type ").removesuffix(" to confirm"))
        submit(page)
    if kind in ANSWERS_LOST:
        expect(page.locator(".form-fault")).to_contain_text("The server did not answer. Try again")
        submit(page)
    expect(page.locator("#action")).to_be_hidden()


def sign_out_elsewhere(page: Page) -> None:
    """A session that ends in another tab ends the page's numbers, and what is pressed then is not done."""
    in_acorn(Session.objects.all().delete)
    expect(page.locator("#banner")).to_contain_text("Your session has ended. Sign in again.")
    page.evaluate("desk.dialog.open('claim-request', {order_id: 'O7'})")
    submit(page)
    expect(page.locator(".form-fault")).to_contain_text("Nothing was done: your session has ended.")


def test_two_dealers_walk_every_panel_and_every_action_and_lose_the_line(
    desk: Callable[[str], Page], heard: list[Envelope]
) -> None:
    pages = {name: desk(name) for name in ("dora", "rick")}
    for at, panel in enumerate(PANELS):
        page = pages["dora" if at % 2 else "rick"]
        page.evaluate("name => desk.page.goTo(name)", panel.name)
        expect(page.locator(f".panel-{panel.name}")).to_have_class(re.compile("active"))
        expect(page.locator(f".panel-{panel.name} h2")).to_have_text(panel.title)
    for at, (who, kind, values) in enumerate(WALK):
        if at == LOST_AT:
            for page in pages.values():
                page.evaluate("desk.line.socket.close()")
                expect(page.locator("#banner")).to_contain_text("Numbers are as of")
        act(pages[who], kind, values)
        assert in_acorn(DeskAction.objects.count) == at + 1, f"{kind} left not exactly one entry"
    for page in pages.values():
        # The engine says nothing more; the line to the server is what was lost.
        page.wait_for_function("() => desk.line.socket?.readyState === WebSocket.OPEN")
        page.evaluate("desk.page.goTo('journal')")
        expect(page.locator("#grid-journal")).to_contain_text("score account")
        page.evaluate("desk.page.goTo('changes')")
        expect(page.locator("#grid-changes")).to_contain_text("ended")
        assert page.said == []  # type: ignore[attr-defined]
    sign_out_elsewhere(pages["dora"])
    assert in_acorn(DeskAction.objects.count) == len(WALK)
    assert set(in_acorn(lambda: list(DeskAction.objects.values_list("kind", flat=True)))) == set(ACTIONS)
