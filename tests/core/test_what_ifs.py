"""What a change of an order, or a close, would do: asked beside the log, and what is told is what is then decided."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.answers import Answer, WhatIf
from piggy.core.asking import told
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side
from piggy.engine.snapshot import digest
from tests.core.floor import SECOND_US, Floor, only
from tests.core.test_desk_margin import CALL, trade_option, with_option
from tests.core.test_hostile_orders import twin
from tests.core.test_open_risk import USDJPY

FIRST = "O000000001"


@pytest.fixture
def floor() -> Floor:
    made = Floor(bid_markup_points=0, ask_markup_points=0)
    made.open_account("hedger", group="b", hedging=True)
    return made


def answer(floor: Floor, command: cmd.AnyCommand) -> Answer:
    before = digest(state=floor.desk.state)
    assert floor.do(command) == [], "a question leaves nothing in the log"
    found = told(command_id="q", command=command, desk=floor.desk, now_us=floor.now_us)
    assert digest(state=floor.desk.state) == before
    return found


def asked(floor: Floor, command: cmd.AnyCommand) -> WhatIf:
    found = answer(floor, command).what_if
    assert found is not None
    return found


def change(account_id: str = "b1", order_id: str = FIRST, **given: Any) -> cmd.AskAmendment:
    return cmd.AskAmendment(change=cmd.AmendOrder(order_id=order_id, account_id=account_id, **given))


def close(lots: str | None = None, account_id: str = "b1", position_id: str = "b1:EURUSD") -> cmd.AskClose:
    return cmd.AskClose(account_id=account_id, position_id=position_id, lots=None if lots is None else D(lots))


def free(floor: Floor, account_id: str = "b1") -> D:
    found = floor.desk.moment(now_us=floor.now_us).free_margin(account_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "given", [{"quantity": D(2)}, {"limit_price": D("1.09400")}, {"quantity": D("0.4")}, {"stop_loss": D("1.07000")}]
)
def test_what_is_told_of_a_change_is_what_it_then_does(floor: Floor, given: dict[str, Any]) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    floor.now_us += 2 * SECOND_US
    floor.requote()
    found, before, bound = asked(floor, change(**given)), free(floor), floor.desk.state.reserved["b1"]
    assert found.verdict.passed and (found.free_before, found.released) == (before, bound)
    (amended,) = floor.do(change(**given).change)
    assert amended.verdict.checks == found.verdict.checks
    assert found.free_after is not None and found.required is not None
    assert abs(found.free_after - free(floor)) < D("0.01")
    assert abs(found.required - floor.desk.state.reserved["b1"]) < D("0.01")
    lots = given.get("quantity", D(1))
    assert (found.lots_before, found.lots_after, found.exposure_before) == (0, lots, 0)
    assert found.exposure_after == lots * 100_000 * given.get("limit_price", D("1.095"))


def test_fewer_lots_bind_no_more_each_than_they_did(floor: Floor) -> None:
    """What hedged a position that is gone since would bind more if it were placed now; to lower it takes none."""
    floor.place("b1", Side.SELL, "1")
    floor.place("b1", Side.BUY, "1.5", limit_price="1.09000")
    floor.place("b1", Side.BUY, "1")
    order = floor.order(2)
    order.margin_per_lot /= 2
    floor.desk.state.reserved["b1"] /= 2
    per_lot = order.margin_per_lot
    found = asked(floor, change(order_id=order.order_id, quantity=D(1)))
    assert found.required == per_lot and found.released == per_lot * D("1.5")
    assert found.free_after == found.free_before + found.released - per_lot  # type: ignore[operator]
    floor.do(change(order_id=order.order_id, quantity=D(1)).change)
    assert floor.desk.state.reserved["b1"] == per_lot


def test_a_change_that_would_be_refused_says_all_that_speaks_against_it(floor: Floor) -> None:
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1", limit_price="1.09000")
    found = asked(floor, change("poor", quantity=D(50), limit_price=D("0.5")))
    event = floor.do(change("poor", quantity=D(50), limit_price=D("0.5")).change)[0]
    assert found.verdict.reasons == event.reasons and len(event.reasons) > 1
    beyond = asked(floor, change("poor", quantity=D(2)))
    assert [check.code for check in beyond.verdict.reasons] == ["P-17"]
    assert beyond.free_after is not None and beyond.free_after < 0
    assert floor.order(1).quantity == 1


def test_a_change_that_would_take_what_it_never_is_to_take_says_so(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09500", post_only=True)
    found = asked(floor, change(limit_price=D("1.10020")))
    event = floor.do(change(limit_price=D("1.10020")).change)[0]
    assert [check.code for check in found.verdict.reasons] == [event.code] == ["POST_ONLY"]


def test_a_change_that_would_deal_at_once_is_told_and_deals_nothing(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    found = asked(floor, change(limit_price=D("1.10020")))
    assert found.verdict.passed and found.lots_after == 1
    assert only(floor.do(change(limit_price=D("1.10020")).change), ev.OrderFilled)


def test_a_change_by_which_an_order_would_meet_its_owners_other_is_told(floor: Floor) -> None:
    """It would shrink by what they share: that change is the desk's own, and no answer to what was asked."""
    twin(floor)
    floor.place("twin", Side.SELL, "0.3", limit_price="1.10005")
    floor.place("b1", Side.BUY, "1", limit_price="1.09500", stp=SelfTradePrevention.DECREMENT)
    second = change(order_id="O000000002", limit_price=D("1.10005"))
    found = asked(floor, second)
    amended, smaller = only(floor.do(second.change), ev.OrderAmended)
    assert found.verdict.passed and found.verdict.checks == amended.verdict.checks
    assert (smaller.order_id, smaller.quantity, smaller.verdict) == ("O000000002", D("0.7"), None)


def test_of_an_account_that_there_is_not_nothing_is_known(floor: Floor) -> None:
    terms = OrderTerms(account_id="nobody", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    found = asked(floor, cmd.AskWhatIf(terms=terms))
    assert (found.free_before, [check.code for check in found.verdict.reasons]) == (None, ["P-02"])


def test_what_cannot_be_changed_or_closed_is_refused_as_it_would_be(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    for command in (change(quantity=D(2)), change("b2", quantity=D(2)), change(order_id="O9", quantity=D(2))):
        (event,) = floor.do(command.change)
        assert answer(floor, command).refused == event
    for nobodys in (close(account_id="b2"), close(position_id="b1:nothing")):
        refused = answer(floor, nobodys).refused
        assert refused is not None and refused.code == "POSITION_UNKNOWN"


@pytest.mark.parametrize("account_id", ["b1", "hedger"])
@pytest.mark.parametrize(("lots", "left"), [(None, D(0)), ("0.4", D("0.6"))])
def test_what_is_told_of_a_close_is_what_it_then_does(floor: Floor, account_id: str, lots: str | None, left: D) -> None:
    floor.place(account_id, Side.BUY, "1")
    floor.quotes("0.00020")
    (position_id,) = floor.desk.state.positions_of[account_id]
    found, used = asked(floor, close(lots, account_id, position_id)), floor.desk.state.used_margin[account_id]
    assert found.verdict.passed and found.required == 0 and (found.lots_before, found.lots_after) == (1, left)
    before = free(floor, account_id)
    extra: dict[str, Any] = {"position_id": position_id} if account_id == "hedger" else {}
    events = floor.place(account_id, Side.SELL, lots or "1", reduce_only=True, **extra)
    (dealt,) = only(events, ev.OrderFilled)
    assert found.realised == dealt.realised == 11 * (1 - left)
    assert found.released == used - floor.desk.state.used_margin.get(account_id, D(0))
    assert found.free_before == before and found.free_after == free(floor, account_id) + dealt.commission
    assert found.exposure_before and found.exposure_after == found.exposure_before * left


def test_more_than_there_is_closes_what_there_is_and_nothing_is_known_without_a_price(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    assert asked(floor, close("3")).lots_after == 0
    floor.do(cmd.ConfigureInstrument(instrument=USDJPY))
    terms = OrderTerms(account_id="b1", symbol="USDJPY", side=Side.BUY, quantity=D(1), type=OrderType.MARKET)
    dark = asked(floor, cmd.AskWhatIf(terms=terms))
    assert (dark.required, dark.released, dark.exposure_after) == (None, None, None) and dark.free_before


def test_a_close_of_an_option_sets_the_stress_of_its_netting_set_free(floor: Floor) -> None:
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "1")
    used = floor.desk.moment(now_us=floor.now_us).funds("b1").used_margin
    found = asked(floor, close(position_id="b1:EURUSD-C"))
    assert found.required == 0 and found.released and abs(found.released - used) < D("0.01")


def test_a_close_of_an_option_that_no_model_prices_needs_no_price_of_one_that_has_a_model(floor: Floor) -> None:
    """It binds a percent of its own; the stress of others, which was asked for too, is unknown in the dark."""
    with_option(floor)
    trade_option(floor, "b1", Side.SELL, "1")
    terms = msgspec.structs.replace(CALL.option, underlying="USDJPY")
    floor.do(cmd.ConfigureInstrument(instrument=USDJPY))
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(CALL, symbol="USDJPY-C", option=terms)))
    floor.quote("LP1", "0.02150", "0.02160", symbol="USDJPY-C")
    floor.now_us += 2 * SECOND_US
    floor.quote("LP1", "0.02150", "0.02160", symbol="USDJPY-C")
    bought = OrderTerms(account_id="b1", symbol="USDJPY-C", side=Side.BUY, quantity=D(1))
    assert only(floor.do(cmd.PlaceOrder(terms=bought)), ev.OrderFilled)
    bound = floor.desk.state.margins["b1", "USDJPY-C"]
    del floor.desk.marks["EURUSD"]
    assert floor.desk.moment(now_us=floor.now_us).option_margin("b1") is None
    found = asked(floor, close(position_id="b1:USDJPY-C"))
    assert (found.required, found.released, found.free_after) == (0, bound, None) and bound


def test_a_change_that_eases_is_told_without_figures_while_there_is_no_rate(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09500")
    monkeypatch.setattr("piggy.core.moment.Moment.rate", lambda *_args, **_named: None)
    found = asked(floor, change(quantity=D("0.5")))
    assert (found.required, found.free_after) == (None, None)
