"""Every field of every recorded message gone, null or odd: named, or read right; never a fill that was none."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.adapters.interface import Order, ReportKind, Reports
from piggy.adapters.oanda.session import PRICES, TRANSACTIONS, OandaSession
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
from tests.adapters.recorded import child_of, config_of, play, recorded

CONFIG = config_of("oanda", {"EURUSD": ("EUR_USD", "100000"), "EURJPY": ("EUR_JPY", "100000")}, account="101-1")
NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal("1.1"), created_at_us=NOW_US - 10_000_000,
)  # fmt: skip
AT = "2016-10-24T21:48:18.593753865Z"
FILL = {
    "type": "ORDER_FILL", "id": "12", "orderID": "11", "clientOrderID": "o1-V1-1", "instrument": "EUR_USD",
    "units": "40000", "price": "1.1", "fullVWAP": "1.1", "time": AT, "commission": "0.35",
}  # fmt: skip
CREATED = {"type": "LIMIT_ORDER", "id": "11", "time": AT, "clientExtensions": {"id": "o1-V1-1"}}
ENDED = {"type": "ORDER_CANCEL", "id": "13", "orderID": "11", "time": AT, "reason": "TIME_IN_FORCE"}
SHOWN = {
    "order": {
        "id": "11", "state": "CANCELLED", "instrument": "EUR_USD", "fillingTransactionID": "12",
        "clientExtensions": {"id": "o1-V1-1"},
    }
}  # fmt: skip
ROWS = [
    {"name": name, "displayPrecision": 5, "minimumTradeSize": "1", "maximumOrderUnits": "1000000"}
    for name in CONFIG.from_venue
]


def connected() -> OandaSession:
    one = OandaSession(config=CONFIG)
    play(one.connect(now_us=NOW_US), [{"instruments": ROWS}, {"lastTransactionID": "10"}])
    return one


KNOWING = connected()


def streamed(docs: list[Any]) -> Reports:
    one = copy.deepcopy(KNOWING)
    said: Reports = ()
    for doc in docs:
        said += read_or_named(
            lambda: one.hear(stream=TRANSACTIONS, text=response_of(doc).text, now_us=NOW_US).reports  # noqa: B023
        )
    return said


def fetched(docs: list[Any]) -> Reports:
    one = copy.deepcopy(KNOWING)
    one.hear(stream=TRANSACTIONS, text=json.dumps(ENDED), now_us=NOW_US)
    return talk(one.tend(now_us=NOW_US), docs)


def submitted(docs: list[Any]) -> Reports:
    return talk(copy.deepcopy(KNOWING).submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), docs)


def asked(docs: list[Any]) -> Reports:
    return talk(copy.deepcopy(KNOWING).status(order=ORDER, now_us=NOW_US), docs)


def reconciled(docs: list[Any]) -> Reports:
    return talk(copy.deepcopy(KNOWING).fills(since_us=0, now_us=NOW_US), docs)


def test_a_fill_on_the_stream_is_read_right_or_named_and_fetched_again():
    """An end heard before its fill knows of fewer lots; the row that it meets says more, and a status is asked for."""
    assert_survives([CREATED, FILL], streamed)
    one = copy.deepcopy(KNOWING)
    assert streamed([CREATED, FILL | {"units": "x"}, ENDED])[-1].report.kind is ReportKind.ACK
    read_or_named(lambda: one.hear(stream=TRANSACTIONS, text="{", now_us=NOW_US).reports)
    _, requests = play(one.tend(now_us=NOW_US), [{"transactions": [], "lastTransactionID": "10"}])
    assert "sinceid?id=10" in requests[0].url


def test_what_was_fetched_is_read_right_or_parked_one_by_one():
    assert_survives([{"transactions": [CREATED, FILL], "lastTransactionID": "13"}], fetched)
    others = FILL | {"instrument": "XAU_USD", "id": "12"}
    said = fetched([{"transactions": [others, FILL | {"id": "13"}], "lastTransactionID": "13"}])
    assert [one.report.kind for one in said] == [ReportKind.PARKED, ReportKind.FILL]
    assert said[0].report.key == "unread:transaction 12", "kept once however often it is fetched"


def test_the_answer_to_an_order_is_read_right_or_named():
    answer = {"orderCreateTransaction": CREATED, "orderFillTransaction": FILL, "lastTransactionID": "12"}
    assert_survives([answer], submitted)


def test_a_status_and_a_reconciliation_are_read_right_or_named():
    assert_survives([SHOWN, {"transactions": [FILL]}], asked)
    assert_survives([{"pages": ["https://x/transactions/idrange?from=1&to=9"]}, {"transactions": [FILL]}], reconciled)


def test_every_fill_is_found_however_often_the_order_was_replaced():
    first = {"order": SHOWN["order"] | {"id": "11"}}
    second = {"order": SHOWN["order"] | {"id": "21", "replacesOrderID": "11"}}
    third = {"order": SHOWN["order"] | {"id": "31", "replacesOrderID": "21"}}
    _, requests = play(connected().status(order=ORDER, now_us=NOW_US), [third, second, first, {"transactions": [FILL]}])
    assert "sinceid?id=10" in requests[-1].url
    one = connected()
    one.hear(stream=TRANSACTIONS, text=json.dumps(CREATED), now_us=NOW_US)
    _, requests = play(one.status(order=ORDER, now_us=NOW_US), [third, {"transactions": [FILL]}])
    assert "sinceid?id=10" in requests[-1].url, "what was heard need not be asked for"


def test_a_price_that_cannot_be_read_is_dropped_and_counted():
    doc = recorded("oanda_v20_responses.json")["pricing.responses"]["_v3_accounts_accountID_pricing_stream"]["response"]
    price = next(one for one in doc if one["type"] == "PRICE" and one["instrument"] == "EUR_USD")

    def told(docs: list[Any]) -> Reports:
        one = copy.deepcopy(KNOWING)
        one.hear(stream=PRICES, text=response_of(docs[0]).text, now_us=NOW_US)
        for quote in one.all_quotes():
            assert all(level.price > 0 and level.size >= 0 for level in (*quote.bids, *quote.asks))
        assert not (one.unread[0] and one.all_quotes())
        return ()

    assert_survives([price], told)
    one = connected()
    one.hear(stream=PRICES, text=json.dumps(price), now_us=NOW_US)
    one.hear(stream=PRICES, text=json.dumps(price | {"bids": None}), now_us=NOW_US)
    assert (one.unread, one.all_quotes()) == ((1, "OANDA PRICE bids: the list is missing"), [])


def test_terms_money_and_positions_are_read_or_named():
    account = recorded("oanda_v20_responses.json")
    summary = account["accounts.responses"]["_v3_account_by_accountID_summary"]["response"]
    held = account["positions.responses"]["_v3_accounts_accountID_openpositions"]["response"]
    docs = {"symbols": {"instruments": ROWS[:1]}, "balances": summary, "positions": held}
    for ask, doc in docs.items():
        steps = getattr(KNOWING, ask)
        assert_survives([doc], lambda broken: talk(steps(now_us=NOW_US), broken) and ())  # noqa: B023


def test_a_page_that_is_missing_on_the_way_settles_no_order():
    old = msgspec.structs.replace(ORDER, created_at_us=0)
    assert_a_missing_page_settles_nothing(
        lambda: copy.deepcopy(KNOWING).status(order=old, now_us=NOW_US), refusal='{"errorMessage": "no such order"}'
    )


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_several_fields_at_once_leak_no_other_error(data: st.DataObject):
    facts(streamed(data.draw(several_mutations([CREATED, FILL, ENDED]))))
    facts(read_or_named(lambda: asked(data.draw(several_mutations([SHOWN, {"transactions": [FILL]}])))))
