"""One person drafts a change of a group, another approves it; the very next order is treated by it and names it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.flows.back_office import approve, enter, save
from tests.flows.venue import RunningVenue, wait

LOGIN, ACCOUNT = "mallory", "A1011"
POINT = Decimal("0.00001")

pytestmark = pytest.mark.timeout(400)

SaveGroup = Callable[..., int]


@pytest.fixture
def save_group(running: RunningVenue) -> Any:
    """Change the group `b-book` by two people; returns its version. At the end it is as it was."""
    writer, decider = enter(running, "dealer"), enter(running, "admin")
    drafts = "/admin/policies/grouppolicy/"

    def change(**changes: str) -> int:
        save(writer, f"{drafts}add/?group=b-book", **{f"body-{name}": value for name, value in changes.items()})
        ((draft,),) = running.rows("select max(id) from policies_policy where kind = 'group' and state = 'draft'")
        approve(decider, drafts, draft)
        return int(running.rows("select version from accounts_group where name = 'b-book'")[0][0])

    yield change
    change(book_mode="B", ask_markup_points="6")
    for web in (writer, decider):
        web.close()


def test_the_next_order_has_the_new_routing_and_markup(running: RunningVenue, save_group: SaveGroup) -> None:
    first = buy(running, "0.01")
    assert (first["mode"], first["markup"]) == ("B", 6 * POINT)

    version = save_group(ask_markup_points="11")
    second = buy(running, "0.02")
    assert (second["mode"], second["markup"], second["version"]) == ("B", 11 * POINT, version)
    assert version == first["version"] + 1

    version = save_group(book_mode="A")
    third = buy(running, "0.03")
    assert (third["mode"], third["markup"], third["version"]) == ("A", 11 * POINT, version)
    assert third["legs"] and not second["legs"]


def buy(running: RunningVenue, lots: str) -> dict[str, Any]:
    """Place an order at once and return what was recorded of it."""
    answer = running.order(LOGIN, account_id=ACCOUNT, symbol="EURUSD", side="buy", quantity=lots)
    assert answer.status_code == 201, answer.text
    order_id = answer.json()["order_id"]
    query = (
        "select o.mode, f.price - f.raw_price from trading_order o join trading_fill f using (order_id)"
        f" where order_id = '{order_id}' and o.state = 'filled'"
    )
    wait(
        lambda: running.rows(query),
        what=lambda: running.rows(f"select * from trading_order where order_id = '{order_id}'"),
    )
    mode, markup = running.rows(query)[0]
    legs = running.rows(f"select venue from trading_childorder where order_id = '{order_id}'")
    return {"mode": mode, "version": running.routing(order_id)["version"], "markup": markup, "legs": legs}
