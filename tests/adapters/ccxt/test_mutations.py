"""Every field of every answer gone, null or odd: named, or read right; never a fill that was none."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.adapters.ccxt.session import CcxtSession
from piggy.adapters.generic.session import GenericSession
from piggy.adapters.interface import Order, ReportKind, Reports, VenueSession
from piggy.adapters.mt5.session import Mt5Session
from piggy.core.orders import Side
from piggy.simulator.toy import MAPPING
from tests.adapters.mutations import assert_survives, facts, read_or_named, several_mutations, talk
from tests.adapters.recorded import child_of, config_of, knowing

NOW_US = 1_700_000_000_000_000
ORDER = Order(
    cl_ord_id="o1-V1-1", client_id="o1-V1-1", symbol="BTCUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(100), created_at_us=NOW_US - 10_000_000,
)  # fmt: skip
AT_MS = NOW_US // 1_000 - 1_000


class Case:
    """One polled venue: a session that knows its symbol, and what the venue answers to each question."""

    def __init__(self, session: VenueSession, markets: Any, **docs: Any) -> None:
        self.known = knowing(session, markets)
        self.markets, self.docs = markets, docs

    @property
    def session(self) -> Any:
        return copy.deepcopy(self.known)


def ccxt() -> Case:
    config = config_of("ccxt", {"BTCUSD": ("BTC/USDT", "1")}, settings={"exchange": "kraken"})
    limits = {"amount": {"min": "0.001", "max": None}, "cost": {"min": "5"}}
    market = {"symbol": "BTC/USDT", "active": True, "precision": {"price": "0.5", "amount": "0.001"}, "limits": limits}
    order = {"id": "7", "clientOrderId": "o1-V1-1", "status": "canceled", "filled": "0.4", "remaining": "0.6"}
    trade = {
        "id": "5", "order": "7", "symbol": "BTC/USDT", "side": "buy", "amount": "0.4", "price": "99.5",
        "timestamp": AT_MS, "fee": {"cost": "0.01", "currency": "USDT"},
    }  # fmt: skip
    held = {"symbol": "BTC/USDT", "contracts": "2", "side": "short", "entryPrice": "100"}
    return Case(
        CcxtSession(config=config),
        {"mode": 4, "markets": {"BTC/USDT": market}},
        submit=order,
        order=order,
        trades=[trade],
        balance={"total": {"BTC": "1"}, "free": {"BTC": "1"}},
        positions=[held],
        book={"bids": [["99", "1"]], "asks": [["101", "2"]], "timestamp": AT_MS},
    )


def generic() -> Case:
    asks = json.loads(MAPPING.read_text())
    asks["asks"]["positions"] = {"path": "/toy/held"}
    asks["fields"]["position"] = {"symbol": "pair", "units": "net", "price": "p"}
    settings_ = {"mapping": json.dumps(asks)}
    config = config_of("generic", {"BTCUSD": ("BTCUSDT", "1")}, rest_url="https://toy.example", settings=settings_)
    order = {"no": "7", "tag": "o1-V1-1", "state": "lapsed", "size": "1", "done": "0.4"}
    deal = {"deal": 5, "no": "7", "pair": "BTCUSDT", "way": "B", "size": "0.4", "p": "99.5", "at": AT_MS}
    return Case(
        GenericSession(config=config),
        {"data": [{"pair": "BTCUSDT", "rules": {"tick": "0.1", "step": "0.001", "least": "0.001"}}]},
        submit={"data": order},
        order={"data": order},
        trades={"data": [deal]},
        balance={"data": [{"coin": "USDT", "held": "5"}]},
        positions=[{"pair": "BTCUSDT", "net": "-2", "p": "100"}],
        book={"data": {"buyers": [{"p": "99", "q": "1"}], "sellers": [{"p": "101", "q": "2"}]}},
    )


def mt5() -> Case:
    config = config_of("mt5", {"BTCUSD": ("BTCUSD", "1")})
    terms = {"digits": 2, "volume_min": 0.01, "volume_max": 500.0, "volume_step": 0.01, "trade_mode": 4}
    order = {"ticket": 7, "state": 2, "volume_initial": 1.0, "volume_current": 0.6, "client_id": "o1-V1-1"}
    deal = {"ticket": 5, "order": 7, "symbol": "BTCUSD", "type": 0, "volume": 0.4, "price": 99.5, "time_msc": AT_MS}
    result = {"retcode": 10010, "order": 7, "volume": 0.4, "comment": "c", "client_id": "o1-V1-1", "asked": "1"}
    return Case(
        Mt5Session(config=config),
        [{"name": "BTCUSD"} | terms],
        submit=result,
        order=order,
        trades=[deal | {"commission": -0.07}],
        balance={"currency": "USD", "balance": 100.0, "margin_free": 50.0},
        positions=[{"symbol": "BTCUSD", "type": 1, "volume": 2.0, "price_open": 100.0}],
        book={"bid": 99.0, "ask": 101.0, "time_msc": AT_MS},
    )


CASES = {"ccxt": ccxt(), "generic": generic(), "mt5": mt5()}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_an_order_is_read_right_or_named(case: Case):
    def submitted(docs: list[Any]) -> Reports:
        return talk(case.session.submit(child=child_of("BTCUSD", price="100"), now_us=NOW_US), docs)

    assert_survives([case.docs["submit"], case.docs["trades"]], submitted)


@every_case
def test_a_status_and_a_reconciliation_are_read_right_or_named(case: Case):
    def asked(docs: list[Any]) -> Reports:
        return talk(case.session.status(order=ORDER, now_us=NOW_US), docs)

    def reconciled(docs: list[Any]) -> Reports:
        return talk(case.session.fills(since_us=NOW_US - 5, now_us=NOW_US), docs)

    assert_survives([case.docs["order"], case.docs["trades"]], asked)
    assert_survives([case.docs["trades"], case.docs["order"]], reconciled)


@every_case
def test_a_working_order_that_cannot_be_read_takes_no_book_with_it(case: Case):
    one = case.session
    one._working["o1-V1-1"] = ORDER
    said = talk(one.tend(now_us=NOW_US), [case.docs["book"], None])
    assert (said, one.unread[0], one.all_quotes()[0].bids[0].price) == ((), 1, 99)
    said = talk(one.tend(now_us=NOW_US), [case.docs["book"], case.docs["order"], case.docs["trades"]])
    assert [report.report.kind for report in said] == [ReportKind.FILL, ReportKind.DONE]


@every_case
def test_a_book_that_cannot_be_read_is_withdrawn_and_counted(case: Case):
    def told(docs: list[Any]) -> Reports:
        one = case.session
        talk(one.resync(symbol="BTCUSD", now_us=NOW_US), docs)
        for quote in one.all_quotes():
            assert all(level.price > 0 and level.size > 0 for level in (*quote.bids, *quote.asks))
        assert bool(one.unread[0]) is not bool(one.all_quotes())
        return ()

    assert_survives([case.docs["book"]], told)


@every_case
def test_terms_money_and_positions_are_read_or_named(case: Case):
    found = talk(case.session.positions(now_us=NOW_US), [case.docs["positions"]])
    assert [(one.symbol, one.lots, one.average_price) for one in found] == [("BTCUSD", -2, 100)]
    for ask, doc in (
        ("symbols", case.markets),
        ("balances", case.docs["balance"]),
        ("positions", case.docs["positions"]),
    ):
        steps = getattr(case.session, ask)
        assert_survives([doc], lambda broken: talk(steps(now_us=NOW_US), broken) and ())  # noqa: B023


@every_case
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_several_fields_at_once_leak_no_other_error(case: Case, data: st.DataObject):
    broken = data.draw(several_mutations([case.docs["order"], case.docs["trades"]]))
    facts(read_or_named(lambda: talk(case.session.status(order=ORDER, now_us=NOW_US), broken)))


def test_an_exchange_that_answers_an_order_by_its_number_only_has_not_ended_it():
    """Many exchanges do: what became of the order is asked for, not guessed."""
    one = CASES["ccxt"].session
    child = child_of("BTCUSD", price="100")
    said = talk(one.submit(child=child, now_us=NOW_US), [{"id": "7", "status": None, "filled": None}])
    assert [report.report.kind for report in said] == [ReportKind.ACK]
    docs = [CASES["ccxt"].docs[name] for name in ("book", "order", "trades")]
    said = talk(one.tend(now_us=NOW_US), docs)
    assert [report.report.kind for report in said] == [ReportKind.FILL, ReportKind.DONE]


def test_more_fills_than_one_answer_holds_are_all_found():
    case = CASES["ccxt"]
    trade = case.docs["trades"][0]
    page = [trade | {"id": str(n), "timestamp": AT_MS + n} for n in range(500)]
    order = case.docs["order"]
    said = talk(
        case.session.fills(since_us=NOW_US - 9_000_000, now_us=NOW_US), [page, order, [page[-1], trade | {"id": "x"}]]
    )
    assert len({report.report.key for report in said}) == 501
