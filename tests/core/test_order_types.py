"""Order types and conditions as a client meets them on the desk."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderState, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.core.floor import CLEARED, SECOND_US, Floor, names, only


@pytest.fixture
def floor() -> Floor:
    return Floor()


def twin(floor: Floor) -> None:
    """A second account of b1's owner."""
    floor.do(
        cmd.ConfigureAccount(
            account=Account(account_id="twin", group="b", owner_id="b1", currency="USD"), clearance=CLEARED
        )
    )
    floor.do(cmd.CreditAccount(account_id="twin", amount=Decimal(100_000), reference="twin"))


def test_post_only_is_cancelled_rather_than_take(floor: Floor) -> None:
    events = floor.place("b1", Side.BUY, "1", limit_price="1.10050", post_only=True)
    assert names(events) == ["OrderAccepted", "OrderCancelled"] and "post only" in events[1].reason
    assert names(floor.place("b1", Side.BUY, "1", limit_price="1.09950", post_only=True)) == ["OrderAccepted"]


def test_reduce_only_needs_a_position_and_ends_with_it(floor: Floor) -> None:
    (denied,) = floor.place("b1", Side.SELL, "1", reduce_only=True)
    assert "REDUCE_ONLY" in {check.code for check in denied.verdict.reasons}
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", limit_price="1.10500", reduce_only=True)
    events = floor.place("b1", Side.SELL, "1", limit_price="1.09990")
    assert only(events, ev.OrderCancelled)[0].reason == "nothing left to reduce"


def test_an_iceberg_shows_a_slice_and_goes_to_the_back_of_the_queue(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10012", display_quantity=Decimal("0.3"))
    floor.place("mixed1", Side.SELL, "0.2", limit_price="1.10012")
    events = floor.place("b1", Side.BUY, "0.6")
    crossed = [(f.account_id, f.quantity) for f in only(events, ev.OrderFilled) if f.account_id != "b1"]
    assert crossed == [("b2", Decimal("0.3")), ("mixed1", Decimal("0.2")), ("b2", Decimal("0.1"))]
    assert floor.order(1).shown == Decimal("0.2")


def test_a_venue_that_refuses_may_leave_less_than_the_minimum(floor: Floor) -> None:
    """FIX 110 is judged by what is shown; legs at several venues cannot be taken back when one of them refuses."""
    floor.place("a1", Side.BUY, "6", minimum_quantity=Decimal(5))
    dealt, *refusing = floor.children()
    floor.fill(dealt, "1.10010")
    for leg in refusing:
        events = floor.reject(leg)
    assert only(events, ev.OrderCancelled)[0].leaves == 4 and floor.order(1).filled == 2
    events = Floor().place("a1", Side.BUY, "7", minimum_quantity=Decimal(7))
    assert names(events) == ["OrderAccepted", "OrderCancelled"], "what is not shown is not sent for"


def test_what_was_beyond_all_that_is_shown_ends_with_the_last_leg(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "9")
    events = [event for leg in floor.children() for event in floor.fill(leg, "1.10010")]
    (cancelled,) = only(events, ev.OrderCancelled)
    assert (cancelled.leaves, floor.order(1).filled) == (3, 6) and events[-1] == cancelled
    floor = Floor()
    floor.place("a1", Side.BUY, "9", limit_price="1.10020")
    events = [event for leg in floor.children() for event in floor.fill(leg, "1.10010")]
    assert not only(events, ev.OrderCancelled) and floor.order(1).leaves == 3, "a limit waits"


def test_minimum_quantity_fills_enough_or_nothing(floor: Floor) -> None:
    events = floor.place("b1", Side.BUY, "9", minimum_quantity=Decimal(7))
    assert names(events) == ["OrderAccepted", "OrderCancelled"]
    events = floor.place("b2", Side.BUY, "9", minimum_quantity=Decimal(6))
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled)) == 6


def test_all_or_none_waits_until_the_whole_fits(floor: Floor) -> None:
    assert names(floor.place("b1", Side.BUY, "7", limit_price="1.10050", all_or_none=True)) == ["OrderAccepted"]
    floor.quote("LP1", "1.10000", "1.10010", size="20")
    assert sum(fill.quantity for fill in only(floor.act(), ev.OrderFilled)) == 7


def test_a_filled_entry_gets_its_exits_and_one_exit_ends_the_other(floor: Floor) -> None:
    exits = {"take_profit": Decimal("1.10100"), "stop_loss": Decimal("1.09900")}
    events = floor.place("b1", Side.BUY, "1", **exits)
    profit, loss = only(events, ev.OrderAccepted)[1:]
    assert (profit.terms.type, loss.terms.type) == (OrderType.LIMIT, OrderType.STOP)
    assert profit.terms.reduce_only and profit.terms.oco_group == loss.terms.oco_group
    floor.quotes("0.00110")
    done = floor.act()
    assert only(done, ev.OrderFilled)[0].price >= Decimal("1.10100")
    assert {event.order_id for event in only(done, ev.OrderCancelled)} == {loss.order_id}
    assert not floor.desk.state.open_orders["b1"] and not floor.desk.state.positions


def test_a_stop_loss_at_a_venue_keeps_the_rest_protected_while_it_fills_in_parts(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1", stop_loss=Decimal("1.09900"), take_profit=Decimal("1.10500"))
    (leg,) = floor.children()
    first = floor.fill(leg, "1.10010", lots="0.4")
    second = floor.fill(leg, "1.10010", lots="0.6")
    protected = [o.terms.quantity for o in only(first + second, ev.OrderAccepted) if o.terms.stop_price]
    assert protected == [Decimal("0.4"), Decimal("0.6")]


def test_what_closes_a_position_gets_no_exits_that_would_close_the_next_one(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "2")
    exits = {"take_profit": Decimal("1.09500"), "stop_loss": Decimal("1.10500")}
    for lots in ("0.5", "1.5"):
        assert len(only(floor.place("b1", Side.SELL, lots, **exits), ev.OrderAccepted)) == 1
    assert not floor.desk.state.positions and not floor.desk.state.open_orders["b1"]


def test_only_what_a_reversal_opens_gets_exits(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    _, exit_ = only(floor.place("b1", Side.SELL, "3", stop_loss=Decimal("1.10500")), ev.OrderAccepted)
    assert (exit_.terms.side, exit_.terms.quantity) == (Side.BUY, 2)


def test_if_touched_with_a_limit_waits_at_its_limit_once_it_is_touched(floor: Floor) -> None:
    touched = {"type": OrderType.MARKET_IF_TOUCHED, "stop_price": Decimal("1.09960")}
    floor.place("b1", Side.BUY, "1", limit_price="1.09950", **touched)
    floor.place("b2", Side.BUY, "1", limit_price="1.09950", time_in_force=TimeInForce.IOC, **touched)
    floor.quotes("-0.00055")
    assert names(floor.act()).count("OrderTriggered") == 2
    assert [floor.order(number).state for number in (1, 2)] == [OrderState.WORKING, OrderState.CANCELLED]
    assert [order_id for order_id, _ in floor.desk.state.resting["EURUSD"].best_first(side=Side.BUY)] == ["O000000001"]
    floor.quotes("-0.00070")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert (fill.order_id, fill.price) == ("O000000001", Decimal("1.09943"))


def test_one_cancels_the_other(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09950", oco_group="pair")
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=Decimal("1.10080"), oco_group="pair")
    floor.quotes("0.00080")
    events = floor.act()
    assert only(events, ev.OrderCancelled)[0].order_id == "O000000001"
    assert [fill.order_id for fill in only(events, ev.OrderFilled)] == ["O000000002"]


def test_a_trailing_stop_follows_the_market_and_never_goes_back(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    (accepted,) = floor.place("b1", Side.SELL, "1", type=OrderType.TRAILING_STOP, trailing_distance=Decimal("0.00050"))
    assert accepted.terms.stop_price == Decimal("1.09949")
    floor.quotes("0.00100")
    floor.act()
    assert floor.order(2).terms.stop_price == Decimal("1.10049")
    floor.quotes("0.00070")
    assert not only(floor.act(), ev.OrderFilled) and floor.order(2).terms.stop_price == Decimal("1.10049")
    floor.quotes("0.00040")
    assert only(floor.act(), ev.OrderFilled)


def test_a_stop_limit_rests_once_triggered(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.STOP_LIMIT, stop_price=Decimal("1.10050"), limit_price="1.10055")
    floor.quotes("0.00060")
    assert names(floor.act()) == ["OrderTriggered"]
    floor.quotes("0.00030")
    assert only(floor.act(), ev.OrderFilled)[0].price <= Decimal("1.10055")


def test_market_if_touched_buys_a_fall(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", type=OrderType.MARKET_IF_TOUCHED, stop_price=Decimal("1.09950"))
    assert floor.act() == []
    floor.quotes("-0.00070")
    assert only(floor.act(), ev.OrderFilled)


def test_good_till_date_ends_at_its_time(floor: Floor) -> None:
    until = floor.now_us + 60_000_000
    floor.place("b1", Side.BUY, "1", limit_price="1.09950", time_in_force=TimeInForce.GTD, expires_at_us=until)
    floor.now_us = until
    assert only(floor.act(), ev.OrderCancelled)[0].outcome == "expired"


@pytest.mark.parametrize(
    ("mode", "resting_after", "filled"),
    [
        (SelfTradePrevention.CANCEL_OLDEST, "cancelled", Decimal(1)),
        (SelfTradePrevention.CANCEL_BOTH, "cancelled", Decimal(0)),
        (SelfTradePrevention.DECREMENT, "working", Decimal("0")),
    ],
)
def test_an_owner_never_trades_with_himself(
    floor: Floor, mode: SelfTradePrevention, resting_after: str, filled: Decimal
) -> None:
    twin(floor)
    floor.place("twin", Side.SELL, "3", limit_price="1.10012")
    floor.place("b1", Side.BUY, "1", stp=mode)
    assert floor.order(1).state.value == resting_after
    assert floor.order(2).filled == filled and floor.order(2).state.final
    assert floor.order(1).filled == 0
    if mode is SelfTradePrevention.DECREMENT:
        assert floor.order(1).quantity == 2


def test_an_amendment_that_reaches_another_client_deals_at_once(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10009")
    floor.place("b1", Side.BUY, "1", limit_price="1.10005")
    events = floor.do(
        cmd.AmendOrder(order_id="O000000002", account_id="b1", quantity=Decimal(2), limit_price=Decimal("1.10009"))
    )
    assert names(events)[:2] == ["OrderAmended", "OrderRerouted"]
    fills = only(events, ev.OrderFilled)
    assert [(fill.account_id, fill.price, fill.maker) for fill in fills] == [
        ("b1", Decimal("1.10009"), False),
        ("b2", Decimal("1.10009"), True),
    ]
    assert floor.order(2).leaves == 1


def test_an_amendment_of_a_post_only_order_may_not_take_either(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10009")
    floor.place("b1", Side.BUY, "1", limit_price="1.10005", post_only=True)
    amendment = cmd.AmendOrder(order_id="O000000002", account_id="b1", limit_price=Decimal("1.10009"))
    assert [event.code for event in only(floor.do(amendment), ev.CommandRefused)] == ["POST_ONLY"]
    assert floor.order(2).terms.limit_price == Decimal("1.10005")


def test_an_amendment_that_would_meet_its_own_owner_is_refused(floor: Floor) -> None:
    """P-22 on REPLACE; with another mode the book acts instead."""
    twin(floor)
    floor.place("twin", Side.SELL, "1", limit_price="1.10009")
    floor.place("b1", Side.BUY, "1", limit_price="1.10005")
    floor.place("b1", Side.BUY, "1", limit_price="1.10004", stp=SelfTradePrevention.CANCEL_OLDEST)
    amendment = cmd.AmendOrder(order_id="O000000002", account_id="b1", limit_price=Decimal("1.10009"))
    assert [event.code for event in only(floor.do(amendment), ev.CommandRefused)] == ["P-22"]
    amendment = cmd.AmendOrder(order_id="O000000003", account_id="b1", limit_price=Decimal("1.10009"))
    assert [event.order_id for event in only(floor.do(amendment), ev.OrderCancelled)] == ["O000000001"]


def test_an_own_order_behind_others_lets_those_deal_first(floor: Floor) -> None:
    """P-22: what would deal with others first is not refused; the rest goes when it meets its own."""
    twin(floor)
    floor.place("b2", Side.SELL, "1", limit_price="1.10008")
    floor.place("twin", Side.SELL, "1", limit_price="1.10009")
    events = floor.place("b1", Side.BUY, "2", limit_price="1.10009")
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled) if fill.account_id == "b1") == 1
    assert [event.reason for event in only(events, ev.OrderCancelled)] == ["self-trade prevention"]


@pytest.mark.parametrize("need", [{"all_or_none": True}, {"minimum_quantity": Decimal(1)}])
def test_who_cannot_fill_enough_passes_a_resting_order_over(floor: Floor, need: dict[str, object]) -> None:
    floor.place("b2", Side.SELL, "1", limit_price="1.10012", **need)
    floor.place("mixed1", Side.SELL, "0.5", limit_price="1.10012")
    events = floor.place("b1", Side.BUY, "0.4", limit_price="1.10012")
    assert {fill.account_id for fill in only(events, ev.OrderFilled)} == {"b1", "mixed1"}
    events = floor.place("a1", Side.BUY, "1", limit_price="1.10012")
    assert "b2" in {fill.account_id for fill in only(events, ev.OrderFilled)}


def test_what_an_iceberg_takes_itself_leaves_its_slice_whole(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "0.2", limit_price="1.10005")
    floor.place("b1", Side.BUY, "1", limit_price="1.10005", display_quantity=Decimal("0.3"))
    assert (floor.order(2).filled, floor.order(2).shown) == (Decimal("0.2"), Decimal("0.3"))


@pytest.mark.parametrize(
    "terms",
    [
        {"display_quantity": Decimal("0.5"), "all_or_none": True},
        {"display_quantity": Decimal("0.5"), "minimum_quantity": Decimal("0.6")},
        {"post_only": True, "time_in_force": TimeInForce.IOC},
        {"post_only": True, "time_in_force": TimeInForce.FOK},
    ],
)
def test_what_contradicts_itself_is_refused(floor: Floor, terms: dict[str, object]) -> None:
    """P-06."""
    (denied,) = floor.place("b1", Side.BUY, "1", limit_price="1.09950", **terms)
    assert [check.code for check in denied.verdict.reasons] == ["P-06"]


def test_p_06_an_iceberg_has_at_most_a_thousand_parts_when_it_comes_and_when_it_grows(floor: Floor) -> None:
    """Each part is a fill of its own: of 100 lots that show 0.01 one order would make 20,000 events at once."""
    limits = msgspec.structs.replace(HOUSE_LIMITS, window_value_max=Decimal(10**9))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    part = {"limit_price": "1.09950", "display_quantity": Decimal("0.01")}
    (denied,) = floor.place("b1", Side.BUY, "10.01", **part)
    assert [check.code for check in denied.verdict.reasons] == ["P-06"]
    floor.place("b1", Side.BUY, "9.99", **part)
    for lots, told in (("10.01", "P-06"), ("10", None)):
        (first, *_) = floor.do(cmd.AmendOrder(order_id="O000000002", account_id="b1", quantity=Decimal(lots)))
        assert getattr(first, "code", None) == told


def pair(floor: Floor, account_id: str, *prices: str, **terms: object) -> None:
    for price in prices:
        floor.place(account_id, Side.BUY, "1", limit_price=price, oco_group="pair", **terms)


def test_of_a_pair_that_one_price_reaches_only_one_deals(floor: Floor) -> None:
    pair(floor, "b1", "1.09900", "1.09890")
    floor.quotes("-0.00200")
    events = floor.act()
    assert [fill.order_id for fill in only(events, ev.OrderFilled)] == ["O000000001"]
    assert floor.order(2).state == "cancelled"


def test_of_a_pair_of_stops_that_one_price_reaches_only_one_deals(floor: Floor) -> None:
    for _ in range(2):
        floor.place("b1", Side.BUY, "1", type=OrderType.STOP, stop_price=Decimal("1.10100"), oco_group="pair")
    floor.quotes("0.00200")
    assert len(only(floor.act(), ev.OrderFilled)) == 1
    assert floor.order(2).state == "cancelled" and not floor.order(2).triggered


def test_of_a_pair_only_one_crosses(floor: Floor) -> None:
    pair(floor, "b2", "1.10008", "1.10008")
    events = floor.place("b1", Side.SELL, "2", limit_price="1.10008", time_in_force=TimeInForce.IOC)
    assert [fill.account_id for fill in only(events, ev.OrderFilled) if fill.account_id == "b2"] == ["b2"]
    assert floor.order(2).state == "cancelled"


def test_a_sibling_that_its_own_pair_met_and_cancelled_is_not_cancelled_twice(floor: Floor) -> None:
    floor.place("b1", Side.SELL, "1", limit_price="1.10008", oco_group="pair")
    floor.place("b2", Side.SELL, "1", limit_price="1.10008")
    events = floor.place(
        "b1", Side.BUY, "1", limit_price="1.10008", oco_group="pair", stp=SelfTradePrevention.CANCEL_OLDEST
    )
    assert [event.order_id for event in only(events, ev.OrderCancelled)] == ["O000000001"]
    assert floor.order(3).state == "filled"


def test_what_is_under_way_against_another_position_leaves_this_one_to_close(floor: Floor) -> None:
    """A hedging account closes one of two positions while the other's close is out at a venue."""
    floor.open_account("hedger", group="a", hedging=True)
    for _ in range(2):
        floor.place("hedger", Side.BUY, "1")
        (leg,) = floor.children()
        floor.fill(leg, "1.10010")
    for position_id in ("O000000001", "O000000002"):
        floor.place("hedger", Side.SELL, "1", position_id=position_id, reduce_only=True)
    assert [leg.quantity for leg in floor.children()] == [1, 1]


def test_crossing_a_hedging_client_margins_each_of_the_two_by_his_own(floor: Floor) -> None:
    for name in ("hedger", "other"):
        floor.open_account(name, group="b", hedging=True)
    floor.place("other", Side.SELL, "1", limit_price="1.10008")
    floor.place("hedger", Side.BUY, "1", limit_price="1.10008")
    used = floor.desk.state.used_margin
    assert used["hedger"] == used["other"] > 0
    assert len(floor.desk.state.positions) == 2


def test_an_order_whose_time_is_up_is_not_filled_by_the_price_that_comes_with_it(floor: Floor) -> None:
    until_us = floor.now_us + 60 * SECOND_US
    floor.place("b1", Side.BUY, "1", limit_price="1.09900", time_in_force=TimeInForce.GTD, expires_at_us=until_us)
    floor.now_us = until_us
    floor.quotes("-0.00200")
    assert [each for each in names(floor.act()) if each in ("OrderCancelled", "OrderFilled")] == ["OrderCancelled"]
    assert floor.order(1).text == "gtd ended" and floor.order(1).filled == 0
