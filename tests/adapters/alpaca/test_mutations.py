"""Every field of every recorded message gone, null or odd: named, or read right; never a fill that was none."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.adapters.alpaca.session import QUOTES, TRADES, AlpacaSession
from piggy.adapters.interface import Order, ReportKind, Reports
from piggy.core.orders import Side
from tests.adapters.mutations import (
    assert_a_missing_page_settles_nothing,
    assert_survives,
    facts,
    read_or_named,
    response_of,
    several_mutations,
    talk,
)
from tests.adapters.recorded import child_of, config_of, knowing, recorded

CONFIG = config_of("alpaca", {"AAPL": ("AAPL", "100")})
NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="AAPL", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal("161.1"), created_at_us=NOW_US - 10_000_000,
)  # fmt: skip
ASSET = {"symbol": "AAPL", "tradable": True, "status": "active"}
KNOWING = knowing(AlpacaSession(config=CONFIG), ASSET)
QUOTE = {"T": "q", "S": "AAPL", "bp": 161.1, "bs": 2, "ap": 161.11, "as": 13, "t": "2022-03-18T14:02:43.6Z"}


def order_doc(**more: Any) -> dict[str, Any]:
    rows = recorded("alpaca_http_fixtures.json")
    doc = next(row for row in rows if row["test"] == "test_get_order_by_client_id")["response"]
    return doc | {"client_order_id": "o1-V1-1", "symbol": "AAPL", "time_in_force": "day"} | more


def update(event: str, **more: Any) -> dict[str, Any]:
    order = order_doc(filled_qty=more.pop("filled_qty", "40"), side="buy")
    return {"event": event, "timestamp": "2021-03-16T18:38:01.937734Z", "order": order} | more


def heard(docs: list[Any]) -> Reports:
    one, said = copy.deepcopy(KNOWING), []
    for doc in docs:
        text = response_of({"stream": "trade_updates", "data": doc}).text
        said += read_or_named(lambda: one.hear(stream=TRADES, text=text, now_us=NOW_US).reports)  # noqa: B023
    return tuple(said)


def submitted(docs: list[Any]) -> Reports:
    return talk(copy.deepcopy(KNOWING).submit(child=child_of("AAPL", price="161"), now_us=NOW_US), docs)


def asked(docs: list[Any]) -> Reports:
    return talk(copy.deepcopy(KNOWING).status(order=ORDER, now_us=NOW_US), docs)


def activity(number: str) -> dict[str, Any]:
    row = {"order_id": number, "symbol": "AAPL", "side": "buy", "price": "161", "qty": "40", "id": "x"}
    return row | {"cum_qty": "40", "transaction_time": "2022-03-04T18:54:20.9Z"}


def test_an_update_is_read_right_or_named():
    fill = update("partial_fill", price="160", qty="40", execution_id="E1")
    restated = update("trade_correct", price="150", qty="40", execution_id="E2", previous_execution_id="E1")
    assert_survives([fill], heard)
    assert_survives([fill, restated], heard)
    for event in ("rejected", "canceled", "order_cancel_rejected"):
        assert_survives([update(event, reason="why")], heard)


def test_answers_to_orders_and_questions_are_read_right_or_named():
    assert_survives([order_doc(status="accepted")], submitted)
    order = order_doc(status="canceled", filled_qty="40")
    assert_survives([order, [activity(order["id"])]], asked)


@pytest.mark.parametrize(("force", "kinds"), [("day", [ReportKind.DONE]), ("gtc", [])])
def test_an_order_that_rests_is_done_for_the_day_only(force: str, kinds: list[ReportKind]):
    doc = update("done_for_day")
    doc["order"]["time_in_force"] = force
    assert [one.report.kind for one in heard([doc])] == kinds
    said = asked([order_doc(status="done_for_day", filled_qty="0", time_in_force=force)])
    assert said[0].report.standing == ("ended" if kinds else "working")
    assert asked([order_doc(status="suspended", filled_qty="0")])[0].report.standing == "working"


def test_a_word_that_was_never_documented_is_for_a_person():
    assert facts(heard([update("teleported")])) == set()
    assert read_or_named(lambda: asked([order_doc(status="teleported")])) == ()


def test_a_quote_that_cannot_be_read_is_dropped_and_counted():
    def told(docs: list[Any]) -> Reports:
        one = copy.deepcopy(KNOWING)
        one.hear(stream=QUOTES, text=response_of([docs[0]]).text, now_us=NOW_US)
        for quote in one.all_quotes():
            assert all(level.price > 0 and level.size > 0 for level in (*quote.bids, *quote.asks))
        return ()

    assert_survives([QUOTE], told)
    one = copy.deepcopy(KNOWING)
    one.hear(stream=QUOTES, text=json.dumps([QUOTE]), now_us=NOW_US)
    one.hear(stream=QUOTES, text=json.dumps([QUOTE | {"bp": "dear"}]), now_us=NOW_US)
    assert (one.unread, one.all_quotes()) == ((1, "Alpaca quote: bp is 'dear'"), [])


def test_terms_money_and_positions_are_read_or_named():
    rows = recorded("alpaca_http_fixtures.json")
    held = next(row["response"] for row in rows if row["test"] == "test_get_all_positions")
    account = next(row["response"] for row in rows if row["url"] == "{}/v2/account")
    for ask, doc in {"symbols": ASSET, "balances": account, "positions": held}.items():
        steps = getattr(KNOWING, ask)
        assert_survives([doc], lambda broken: talk(steps(now_us=NOW_US), broken) and ())  # noqa: B023


def test_a_page_that_is_missing_on_the_way_settles_no_order():
    old = msgspec.structs.replace(ORDER, created_at_us=0)
    assert_a_missing_page_settles_nothing(
        lambda: copy.deepcopy(KNOWING).status(order=old, now_us=NOW_US), refusal='{"message": "no such order"}'
    )


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_several_fields_at_once_leak_no_other_error(data: st.DataObject):
    fill = update("partial_fill", price="160", qty="40", execution_id="E1")
    facts(heard(data.draw(several_mutations([fill]))))
    facts(read_or_named(lambda: submitted(data.draw(several_mutations([order_doc(status="accepted")])))))
