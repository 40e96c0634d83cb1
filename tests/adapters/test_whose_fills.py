"""INV-04, INV-05: of all that an account's records tell, an order's own fills alone are counted for it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.alpaca import inbound as alpaca
from piggy.adapters.alpaca.session import QUOTES, TRADES
from piggy.adapters.answers import says_unknown
from piggy.adapters.interface import Order, ReportKind, Response, UnableToReadReport
from piggy.adapters.oanda import inbound as oanda
from piggy.adapters.oanda.session import PRICES, TRANSACTIONS
from piggy.adapters.registry import session_of
from piggy.core.orders import Side
from tests.adapters.recorded import config_of, play

NOW_US = 1_700_000_000_000_000
MINE, OTHERS = "o1-V1-1", "o2-V1-1"
ORDER = Order(
    cl_ord_id=MINE, client_id=MINE, symbol="EURUSD", side=Side.BUY, quantity=Decimal(1),
    limit_price=Decimal(1), created_at_us=NOW_US - 60_000_000,
)  # fmt: skip
AT = "2022-03-04T18:54:20.9Z"
FILL = {"type": "ORDER_FILL", "id": "12", "orderID": "11", "clientOrderID": MINE, "instrument": "EUR_USD"}
FILL |= {"units": "40000", "price": "1.1", "time": AT}
SHOWN = {"order": {"id": "11", "state": "CANCELLED", "clientExtensions": {"id": MINE}}}
CREATED = {"type": "LIMIT_ORDER", "id": "11", "time": AT, "clientExtensions": {"id": MINE}}
DEALT = {"id": "7", "client_order_id": MINE, "symbol": "EUR_USD", "status": "filled", "filled_qty": "100000"}
DEALT |= {"side": "buy", "time_in_force": "day", "updated_at": AT}
ACT = {"order_id": "7", "symbol": "EUR_USD", "side": "buy", "price": "1.1", "qty": "100000", "cum_qty": "100000"}
ACT |= {"id": "x1", "transaction_time": AT}


def session(kind: str) -> Any:
    return session_of(config=config_of(kind, {"EURUSD": ("EUR_USD", "100000")}, account="101-1"))


CONFIG = session("oanda").config


def oanda_fill(**more: Any) -> Any:
    (said,) = oanda.transaction(doc=FILL | more, known=oanda.Known(), config=CONFIG)
    return said.report


def test_oanda_buys_above_zero_and_sells_below_it() -> None:
    for units, side in (("40000", Side.BUY), ("-40000", Side.SELL)):
        command = oanda_fill(units=units).command
        assert (command.side, command.quantity, command.price) == (side, Decimal("0.4"), Decimal("1.1"))
    assert oanda_fill(fullVWAP="1.2").command.price == Decimal("1.2")
    with pytest.raises(UnableToReadReport, match="cannot be"):
        oanda_fill(units="0")


def test_oanda_tells_of_an_order_by_its_own_fills_alone() -> None:
    """By our id, or by its number where a fill leaves that out; another order's, and what is no fill, is not added."""
    rows = [
        CREATED, FILL, FILL | {"id": "13", "clientOrderID": OTHERS, "orderID": "10"},
        {"type": "ORDER_CANCEL", "id": "14", "orderID": "11", "clientOrderID": MINE, "units": "9", "time": AT},
        {name: value for name, value in FILL.items() if name != "clientOrderID"} | {"id": "15"},
        FILL | {"id": "16", "orderID": "9"},
    ]  # fmt: skip
    said, _ = play(session("oanda").status(order=ORDER, now_us=NOW_US), [SHOWN, {"transactions": rows}])
    assert [one.report.key for one in said[:-1]] == ["F:12", "F:15", "F:16"]
    assert (said[-1].report.standing, said[-1].report.cumulative) == ("ended", Decimal("1.2"))


@pytest.mark.parametrize("how", [{"reason": "CLIENT_REQUEST_REPLACED"}, {"reason": "?", "replacedByOrderID": "12"}])
def test_an_order_that_was_replaced_has_not_ended(how: dict[str, str]) -> None:
    """Taken for its end, what works on under the same id would be dealt elsewhere too."""
    gone = {"type": "ORDER_CANCEL", "id": "13", "orderID": "11", "clientOrderID": MINE, "time": AT}
    assert oanda.transaction(doc=gone | how, known=oanda.Known(), config=CONFIG) == ()
    (ended,) = oanda.transaction(doc=gone | {"reason": "?"}, known=oanda.Known(), config=CONFIG)
    assert ended.report.kind is ReportKind.DONE


def test_a_status_without_the_fill_that_it_names_is_none() -> None:
    shown = {"order": SHOWN["order"] | {"fillingTransactionID": "12"}}
    said, _ = play(session("oanda").status(order=ORDER, now_us=NOW_US), [shown, {"transactions": [FILL]}])
    assert said[-1].report.cumulative == Decimal("0.4")
    for rows in ([], [FILL | {"id": "13"}]):
        with pytest.raises(UnableToReadReport, match="not among the transactions"):
            play(session("oanda").status(order=ORDER, now_us=NOW_US), [shown, {"transactions": rows}])


def test_oanda_answers_an_order_only_with_its_own() -> None:
    """What it created, filled and ended counts; an answer to another order is a doubt of this one."""

    def answered(**more: Any) -> Any:
        text = json.dumps({"orderCreateTransaction": CREATED} | more)
        names: dict[str, Any] = {"client_id": MINE, "known": oanda.Known(), "config": CONFIG, "now_us": 1}
        return oanda.order_answer(response=Response(status=201, text=text), **names)

    ended = {"type": "ORDER_CANCEL", "id": "13", "reason": "TIME_IN_FORCE"}
    said = answered(orderFillTransaction=FILL, orderCancelTransaction=ended)
    assert [one.report.kind for one in said] == [ReportKind.ACK, ReportKind.FILL, ReportKind.DONE]
    assert said[-1].report.cumulative == Decimal("0.4")
    unnamed = {name: value for name, value in CREATED.items() if name != "clientExtensions"}
    for other in (unnamed, CREATED | {"clientExtensions": {"id": OTHERS}}, CREATED | {"clientExtensions": {}}):
        with pytest.raises(UnableToReadReport):
            answered(orderCreateTransaction=other)


def test_a_hole_in_oandas_numbers_is_kept_in_mind_until_it_is_filled() -> None:
    one = session("oanda")
    market = {"name": "EUR_USD", "displayPrecision": 5, "minimumTradeSize": "1", "maximumOrderUnits": "1000000"}
    play(one.connect(now_us=NOW_US), [{"instruments": [market]}, {"lastTransactionID": "10"}])

    def hear(**doc: Any) -> Any:
        return one.hear(stream=TRANSACTIONS, text=json.dumps({"time": AT} | doc), now_us=NOW_US).reports

    hear(type="HEARTBEAT", lastTransactionID="10")
    assert play(one.tend(now_us=NOW_US), [])[0] == (), "nothing is missing"
    assert [said.report.kind for said in hear(**CREATED)] == [ReportKind.ACK]
    assert hear(**(FILL | {"id": "13"})) == (), "12 is missing: what follows comes in its order"
    assert hear(**(FILL | {"id": "12"})) == (), "and so does what was late"
    hear(type="HEARTBEAT", lastTransactionID="13")
    rows = [FILL, FILL | {"id": "13"}, {"type": "DAILY_FINANCING"}]
    said, _ = play(one.tend(now_us=NOW_US), [{"lastTransactionID": "14", "transactions": rows}])
    assert [each.report.key for each in said] == ["F:12", "F:13"]
    said, requests = play(one.tend(now_us=NOW_US), [{"lastTransactionID": "14", "transactions": []}])
    assert (said, requests[0].url.rpartition("=")[2]) == ((), "13"), (
        "of an answer that was cut off the rest is asked for"
    )
    assert play(one.tend(now_us=NOW_US), [])[0] == ()
    with pytest.raises(UnableToReadReport):
        hear(**(FILL | {"id": "15", "units": "?"}))
    assert play(one.tend(now_us=NOW_US), [{"lastTransactionID": "14", "transactions": []}])[0] == (), "it is asked for"
    one.hear(stream=PRICES, text=json.dumps({"type": "HEARTBEAT", "time": AT}), now_us=NOW_US)
    assert one.settled
    one.lost()
    assert not one.settled, "no order goes before both streams speak again"


def test_alpaca_tells_of_an_order_by_its_own_fills_alone() -> None:
    one = session("alpaca")
    others = ACT | {"order_id": "8", "id": "x2", "cum_qty": "5"}
    foreign = ACT | {"symbol": "TSLA", "order_id": "9", "id": "x3"}
    rows = [others, ACT, foreign]
    said, requests = play(one.status(order=ORDER, now_us=NOW_US), [DEALT, rows, DEALT | {"client_order_id": OTHERS}])
    assert [each.report.kind for each in said] == [ReportKind.FILL, ReportKind.STATUS]
    assert said[0].report.cl_ord_id == MINE and len(requests) == 3, "of what is not mapped nobody asks"
    with pytest.raises(UnableToReadReport, match="was not looked up"):
        alpaca.activities(rows=[ACT], client_ids={}, config=one.config, raw="")


def test_alpaca_fills_no_more_than_it_says_in_all() -> None:
    part = {"event": "fill", "timestamp": AT, "price": "1.1", "qty": "60000", "order": DEALT | {"filled_qty": "50000"}}
    config = session("alpaca").config
    with pytest.raises(UnableToReadReport, match="filled in all"):
        alpaca.trade_update(doc=part, executions=alpaca.Executions(), config=config, raw="")
    whole = part | {"qty": "50000"}
    (said,) = alpaca.trade_update(doc=whole, executions=alpaca.Executions(), config=config, raw="")
    assert said.report.command.occurred_at_us == alpaca.Part(part, what="x").at("timestamp")
    untimed = {name: value for name, value in whole.items() if name != "timestamp"}
    untimed["order"] = whole["order"] | {"updated_at": "2022-03-05T00:00:00Z"}
    (said,) = alpaca.trade_update(doc=untimed, executions=alpaca.Executions(), config=config, raw="")
    assert said.report.command.occurred_at_us == 1_646_438_400_000_000
    other = Response(status=200, text=json.dumps(DEALT | {"client_order_id": OTHERS}))
    with pytest.raises(UnableToReadReport, match=OTHERS):
        alpaca.order_answer(response=other, client_id=MINE, config=config, now_us=1)


def test_an_execution_heard_twice_is_one_and_another_at_the_same_count_is_another() -> None:
    """After a bust an order may come to the same count again; what names no execution goes by the count alone."""
    known = alpaca.Executions()
    names = {"number": "7", "cumulative": "5"}
    assert known.fill(execution_id="e1", **names) == known.fill(execution_id="e1", **names) == "7/5"
    assert known.fill(execution_id="e2", **names) == "7/5#e2"
    assert known.fill(execution_id="", **names) == "7/5"
    with pytest.raises(UnableToReadReport):
        known.fill_id(execution_id="")


@pytest.mark.parametrize(
    ("word", "force", "stands"),
    [
        ("done_for_day", "gtc", "working"),
        ("done_for_day", "day", "ended"),
        ("canceled", "gtc", "ended"),
        ("rejected", "day", "ended"),
    ],
)
def test_only_an_order_that_is_good_till_cancelled_outlives_its_day(word: str, force: str, stands: str) -> None:
    assert alpaca.standing(alpaca.Part(DEALT | {"status": word, "time_in_force": force}, what="order")) == stands


def test_alpaca_is_settled_by_what_was_asked_for_and_by_nothing_else() -> None:
    one = session("alpaca")

    def hear(stream: str, doc: Any) -> Any:
        return one.hear(stream=stream, text=json.dumps(doc), now_us=NOW_US)

    assert not hear(TRADES, {"stream": "authorization", "data": {"status": "authorized"}}).down
    hear(TRADES, {"stream": "listening", "data": {"streams": []}})
    hear(TRADES, {"stream": "account_updates", "data": {"streams": ["trade_updates"]}})
    hear(QUOTES, [{"T": "success", "msg": "authenticated"}, {"T": "subscription"}])
    assert not one.settled, "of fills nothing would be heard"
    hear(TRADES, {"stream": "listening", "data": {"streams": ["trade_updates"]}})
    assert one.settled
    one.lost()
    assert not one.settled


@pytest.mark.parametrize(
    ("kind", "gone"), [("alpaca", {"message": "order not found"}), ("oanda", {"errorCode": "NO_SUCH_ORDER"})]
)
def test_an_order_is_unknown_only_by_the_venues_own_word_and_not_too_soon(kind: str, gone: dict[str, str]) -> None:
    """INV-03: a page that is missing on the way, or a question too early, settles nothing."""
    one = session(kind)
    for answer, when in (((404, {}), NOW_US), ((500, gone), NOW_US), ((404, gone), ORDER.created_at_us + 1)):
        assert play(one.status(order=ORDER, now_us=when), [answer])[0] == ()
    assert play(one.status(order=ORDER, now_us=NOW_US), [(404, gone)])[0][0].report.standing == "unknown"
    assert not says_unknown(Response(status=400, text=json.dumps(gone)), words=tuple(gone))


def test_a_refused_cancel_of_an_order_that_ended_is_told_before_its_end() -> None:
    ended = DEALT | {"status": "canceled", "filled_qty": "0"}
    refusal = (422, {"message": "order is already in canceled state"})
    said, requests = play(session("alpaca").cancel(order=ORDER, now_us=NOW_US), [ended, refusal, ended])
    assert [one.report.kind for one in said] == [ReportKind.UNCANCEL, ReportKind.STATUS]
    assert [request.method for request in requests] == ["GET", "DELETE", "GET"]
    gone: Any = {"orderCancelTransaction": {}}
    said, _ = play(session("oanda").cancel(order=ORDER, now_us=NOW_US), [gone, SHOWN, {"transactions": []}])
    assert [one.report.kind for one in said] == [ReportKind.STATUS]
