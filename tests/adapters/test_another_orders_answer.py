"""INV-03: what a venue says of another order than the one asked about settles nothing, ends nothing and asks no end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.interface import Order, UnableToReadReport
from piggy.adapters.registry import session_of
from piggy.core.orders import Side
from tests.adapters.recorded import config_of, play

NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(1), created_at_us=NOW_US - 60_000_000,
)  # fmt: skip
OTHER, MINE = "o2-V1-1", "o1-V1-1"
CCXT = {"exchange": "binance"}
LISTS = CCXT | {"lookup": "lists"}


def binance(name: str, **more: Any) -> dict[str, Any]:
    doc = {"symbol": "EURUSDT", "orderId": 9, "clientOrderId": name, "status": "CANCELED", "executedQty": "0"}
    return doc | more


def alpaca(name: str) -> dict[str, Any]:
    return {"id": "7", "client_order_id": name, "symbol": "EURUSDT", "status": "canceled", "filled_qty": "0"}


def oanda(name: str) -> dict[str, Any]:
    return {"order": {"id": "7", "state": "CANCELLED", "clientExtensions": {"id": name}}}


def ccxt(name: str, status: str = "canceled") -> dict[str, Any]:
    return {"id": "7", "clientOrderId": name, "status": status, "filled": "0", "remaining": "1"}


# Kind, settings, and the answers up to the one that is of an order of this name.
STATUSES: list[tuple[str, dict[str, str], Any]] = [
    ("binance", {}, lambda name: [binance(name)]),
    ("alpaca", {}, lambda name: [alpaca(name)]),
    ("oanda", {}, lambda name: [oanda(name), {"transactions": []}]),
    ("ccxt", CCXT, lambda name: [ccxt(name)]),
    ("ccxt", LISTS, lambda name: [[ccxt(MINE)], ccxt(name)]),
]
CANCELS: list[tuple[str, dict[str, str], Any]] = [
    ("binance", {}, lambda name: [binance(name)]),
    ("binance", {}, lambda name: [binance("made-by-the-venue", origClientOrderId=name)]),
    ("alpaca", {}, lambda name: [alpaca(name), (204, {})]),
    ("ccxt", CCXT, lambda name: [ccxt(name, "open"), {}, ccxt(MINE)]),
]


def session(kind: str, settings: dict[str, str]) -> Any:
    return session_of(config=config_of(kind, {"EURUSD": ("EURUSDT", "1")}, settings=settings))


@pytest.mark.parametrize(("kind", "settings", "answers"), STATUSES)
def test_the_status_of_another_order_is_none_of_ours(kind: str, settings: dict[str, str], answers: Any) -> None:
    """Out of a cache between us: taken for ended with nothing filled, a living order's lots were dealt elsewhere."""
    said, _ = play(session(kind, settings).status(order=ORDER, now_us=NOW_US), answers(MINE))
    assert [(one.report.standing, one.report.cl_ord_id) for one in said] == [("ended", MINE)]
    with pytest.raises(UnableToReadReport, match=OTHER):
        play(session(kind, settings).status(order=ORDER, now_us=NOW_US), answers(OTHER))


def test_an_order_is_known_by_the_number_that_the_venue_gave_it_too() -> None:
    """A cancel may leave an order under the id that the venue made for the cancel."""
    mine = session("binance", {})
    mine._client_ids["9"] = MINE
    said, _ = play(mine.status(order=ORDER, now_us=NOW_US), [binance("made-by-the-venue")])
    assert [(one.report.standing, one.report.cl_ord_id) for one in said] == [("ended", MINE)]
    with pytest.raises(UnableToReadReport, match=OTHER):
        play(mine.status(order=ORDER, now_us=NOW_US), [binance(OTHER, orderId=8)])


@pytest.mark.parametrize(("kind", "settings", "answers"), CANCELS)
def test_no_other_orders_end_is_asked_for_or_taken(kind: str, settings: dict[str, str], answers: Any) -> None:
    play(session(kind, settings).cancel(order=ORDER, now_us=NOW_US), answers(MINE))
    with pytest.raises(UnableToReadReport, match=OTHER):
        play(session(kind, settings).cancel(order=ORDER, now_us=NOW_US), answers(OTHER))


def test_a_venue_that_gives_one_page_again_and_again_is_given_up() -> None:
    """Each would be asked for and kept for ever, of a venue that takes no notice of where the next one begins."""
    row = {"symbol": "EURUSDT", "orderId": 7, "price": "1", "qty": "1", "isBuyer": True, "time": 3}
    page = [row | {"id": 10 + number} for number in range(1_000)]
    steps = session("binance", {}).fills(since_us=NOW_US - 5, now_us=NOW_US)
    with pytest.raises(UnableToReadReport, match="came before"):
        play(steps, [page, {"clientOrderId": MINE}, page])
    done = {"order_id": "7", "symbol": "EURUSDT", "side": "buy", "price": "1", "qty": "1"}
    done |= {"transaction_time": "2022-03-04T18:54:20.9Z"}
    acts = [done | {"id": f"x{number}", "cum_qty": str(number)} for number in range(1, 101)]
    with pytest.raises(UnableToReadReport, match="is the one before"):
        play(session("alpaca", {}).fills(since_us=1, now_us=NOW_US), [acts, alpaca(MINE), acts])


def test_orders_that_replace_each_other_in_a_circle_are_given_up() -> None:
    first = {"id": "9", "state": "CANCELLED", "clientExtensions": {"id": MINE}, "replacesOrderID": "8"}
    before = first | {"id": "8", "replacesOrderID": "9"}
    with pytest.raises(UnableToReadReport, match="cannot replace"):
        play(session("oanda", {}).status(order=ORDER, now_us=NOW_US), [{"order": first}, {"order": before}])
