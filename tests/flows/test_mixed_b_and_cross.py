"""One order divided between the books, one kept with its markup, and two clients who deal with each other."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.flows.venue import RunningVenue, wait

EURUSD_POINT, GOLD_STEP = Decimal("0.00001"), Decimal("0.01")
# Half of 0.21 lots; of two equal remainders the street takes the step that is left over.
A_LOTS, B_LOTS = Decimal("0.11"), Decimal("0.10")
TRIES = 10

pytestmark = pytest.mark.timeout(400)


def test_a_mixed_order_is_divided_exactly(running: RunningVenue) -> None:
    order = filled(running, running.order("carol", account_id="A1003", symbol="EURUSD", side="buy", quantity="0.21"))
    routing = order["routing"]
    assert (order["mode"], Decimal(routing["a_quantity"]), Decimal(routing["b_quantity"])) == ("MIXED", A_LOTS, B_LOTS)
    lots = {book: sum(fill["quantity"] for fill in order["fills"] if fill["book"] == book) for book in ("A", "B")}
    assert lots == {"A": A_LOTS, "B": B_LOTS}
    assert {fill["price"] - fill["raw_price"] for fill in order["fills"]} == {3 * EURUSD_POINT}
    assert_api_tells_the_fills(running, "carol", order)


def test_a_b_book_order_fills_at_the_street_and_the_markup(running: RunningVenue) -> None:
    order = filled(running, running.order("erin", account_id="A1005", symbol="EURUSD", side="sell", quantity="0.07"))
    assert order["mode"] == "B" and {fill["book"] for fill in order["fills"]} == {"B"}
    assert {fill["raw_price"] - fill["price"] for fill in order["fills"]} == {6 * EURUSD_POINT}
    best = min(order["routing"]["considered"], key=lambda seen: seen["rank"] or 99)
    assert order["fills"][0]["raw_price"] == Decimal(best["price"])
    assert_api_tells_the_fills(running, "erin", order)


def test_two_clients_deal_with_each_other_inside_the_street(running: RunningVenue) -> None:
    for attempt in range(TRIES):
        lots = f"0.{11 + attempt}"
        resting = running.order(
            "bob",
            account_id="A1002",
            symbol="XAUUSD",
            side="buy",
            quantity=lots,
            type="limit",
            limit_price=middle(running),
        )
        assert resting.status_code == 201, resting.text
        taking = running.order("frank", account_id="A1006", symbol="XAUUSD", side="sell", quantity=lots)
        taker = filled(running, taking)
        # A quote that moved between the two orders lets the first fill at the street; then they try again.
        if {fill["book"] for fill in taker["fills"]} == {"CROSS"}:
            break
    else:
        pytest.fail(f"no cross in {TRIES} tries: {taker}")
    maker = filled(running, resting)
    (bought,), (sold,) = maker["fills"], taker["fills"]
    assert (bought["book"], bought["price"], bought["quantity"]) == ("CROSS", sold["price"], sold["quantity"])
    assert bought["price"] == Decimal(resting.json()["limit_price"])
    assert (bought["counterparty"], sold["counterparty"]) == (taker["order_id"], maker["order_id"])
    assert maker["legs"] == taker["legs"] == []
    assert_api_tells_the_fills(running, "bob", maker)
    assert_api_tells_the_fills(running, "frank", taker)


def middle(running: RunningVenue) -> str:
    frame = json.loads(running.redis().get("{acorn}:desk:snapshot:quotes"))  # type: ignore[arg-type]
    row = frame["rows"]["XAUUSD"]
    return str(((Decimal(row["bid"]) + Decimal(row["ask"])) / 2).quantize(GOLD_STEP))


def filled(running: RunningVenue, answer: httpx.Response) -> dict[str, Any]:
    """The whole record of an order once it is filled."""
    assert answer.status_code == 201, answer.text
    order_id = answer.json()["order_id"]
    query = f"select state, mode from trading_order where order_id = '{order_id}'"
    wait(lambda: [row[0] for row in running.rows(query)] == ["filled"], what=lambda: running.rows(query))
    _, mode = running.rows(query)[0]
    names = ("fill_id", "book", "price", "raw_price", "quantity", "counterparty")
    fills = running.rows(f"select {', '.join(names)} from trading_fill where order_id = '{order_id}' order by seq")
    return {
        "order_id": order_id,
        "mode": mode,
        "routing": running.routing(order_id),
        "fills": [dict(zip(names, fill, strict=True)) for fill in fills],
        "legs": running.rows(f"select venue from trading_childorder where order_id = '{order_id}'"),
    }


def assert_api_tells_the_fills(running: RunningVenue, login: str, order: dict[str, Any]) -> None:
    """The client sees price and size of each fill; the book is the broker's own affair."""
    with running.web(login) as web:
        told = [fill for fill in web.get("/api/v1/fills").json()["results"] if fill["order_id"] == order["order_id"]]
    seen = {(fill["fill_id"], Decimal(fill["price"]), Decimal(fill["quantity"])) for fill in told}
    assert seen == {(fill["fill_id"], fill["price"], fill["quantity"]) for fill in order["fills"]}
