"""Fills taken back or dealt anew on a person's word: as if they had never been, for client, house and books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.bust_commands import BustFills, CorrectFill, FillOnRecord
from piggy.core.busting import FILLS_MAX
from piggy.core.commissions import Commission, CommissionBasis, TurnoverTier
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import AnyEvent, NegativeBalanceWrittenOff, OrderFilled
from piggy.core.orders import OrderState, OrderType, Side
from piggy.core.profiles import PriceProfile
from piggy.engine.snapshot import digest
from tests.core.floor import Floor, names, only
from tests.core.test_corrections import books, filled
from tests.core.test_corrections import correct as correct_at_venue

D = Decimal
NAMES = FillOnRecord.__struct_fields__


def on_record(floor: Floor) -> list[FillOnRecord]:
    """Read the fills out of the log as the desk's page does."""
    found = []
    for recorded in floor.log:
        event: Any = recorded.event
        if isinstance(event, OrderFilled):
            told = {name: getattr(event, name) for name in NAMES if hasattr(event, name)}
            found.append(FillOnRecord(seq=recorded.seq, at_us=recorded.recorded_at_us, **told))
        if isinstance(event, NegativeBalanceWrittenOff) and found and event.amount > 0:
            found[-1] = msgspec.structs.replace(found[-1], written_off=event.amount)
    return found


def bust(floor: Floor, *fills: FillOnRecord, **more: Any) -> list[AnyEvent]:
    return floor.do(BustFills(**{"fills": fills, "by": "dora", "reason": "bad tick", "batch": "b7"} | more))


def correct(floor: Floor, fill: FillOnRecord, price: str, **more: Any) -> list[AnyEvent]:
    return floor.do(CorrectFill(**{"fill": fill, "price": D(price), "by": "dora", "reason": "bad tick"} | more))


def refusal(events: list[AnyEvent]) -> str:
    (refused,) = events
    assert isinstance(refused, ev.CommandRefused)
    return refused.code


def money(floor: Floor, account_id: str) -> Decimal:
    return floor.desk.state.balances[account_id]


def test_a_kept_fill_taken_back_leaves_everything_as_if_it_had_never_been() -> None:
    """INV-23: balance, commission, turnover, margin, position and every posting; the log only grows."""
    floor = Floor(commission_per_lot=D(7))
    clean, balance = books(floor), money(floor, "b1")
    floor.place("b1", Side.BUY, "1")
    (fill,) = on_record(floor)
    (event,) = bust(floor, fill)
    assert isinstance(event, OrderFillBusted)
    assert (event.supersedes, event.by, event.batch, event.reason) == (fill.seq, "dora", "b7", "bad tick")
    state, order = floor.desk.state, floor.order(1)
    assert (order.state, order.filled, order.commission, order.text) == (OrderState.CANCELLED, 0, 0, "bad tick")
    assert (money(floor, "b1"), state.positions, state.used_margin["b1"]) == (balance, {}, 0)
    assert state.turnover["b1"][1] == 0 and state.exposure["EURUSD"].b_net == 0
    assert books(floor) == clean
    assert refusal(bust(floor, fill)) == "ALREADY_BUSTED"


def worth(floor: Floor, account_id: str) -> Decimal:
    """Balance and open profit at one mark for all."""
    held = floor.desk.state.positions[f"{account_id}:EURUSD"]
    return money(floor, account_id) + (held.quantity * D("1.2") - held.cost) * 100_000


@pytest.mark.parametrize("lots", [("1", "0.7"), ("1", "0.7", "2"), ("1", "3")])
def test_every_fill_of_a_bad_window_goes_in_one_step_whatever_came_between(lots: tuple[str, ...]) -> None:
    """Opened, grown, closed in part and turned: what was dealt outside of the window stands, to the cent."""
    floor, untouched = Floor(commission_per_lot=D(7)), Floor(commission_per_lot=D(7))
    for each in (floor, untouched):
        each.place("b1", Side.BUY, "0.5")
    for at, size in enumerate(lots):
        floor.place("b1", Side.SELL if at else Side.BUY, size)
    _, *window = on_record(floor)
    assert names(bust(floor, *window)) == ["OrderFillBusted"] * len(window)
    held, kept = (each.desk.state.positions["b1:EURUSD"] for each in (floor, untouched))
    assert (held.quantity, held.b_lots, held.rate_weight) == (D("0.5"), kept.b_lots, kept.rate_weight)
    assert worth(floor, "b1") == worth(untouched, "b1")
    if lots == ("1", "0.7"):  # A position that turned is restated at the price at which it did.
        assert held.cost == kept.cost and books(floor) == books(untouched)


def test_what_an_lp_dealt_stays_the_houses() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="E1")
    (fill,) = on_record(floor)
    bust(floor, fill)
    exposure = floor.desk.state.exposure["EURUSD"]
    assert (exposure.client_net, exposure.venue_net, exposure.uncovered) == (0, 1, -1)
    assert refusal(bust(floor, fill)) == "ALREADY_BUSTED"
    gone = cmd.RecordVenueBust(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, report_id="B1", ref_fill_id="E1", text="", occurred_at_us=1
    )
    assert names(floor.do(gone)) == ["VenueFillBusted"], "the client has nothing left to give back"
    assert exposure.venue_net == 0


def test_what_its_lp_took_back_is_not_taken_back_again() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="E1")
    (fill,) = on_record(floor)
    gone = cmd.RecordVenueBust(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, report_id="B1", ref_fill_id="E1", text="", occurred_at_us=1
    )
    floor.do(gone)
    assert refusal(bust(floor, fill)) == "ALREADY_BUSTED"


def test_a_working_order_becomes_smaller_and_waits_on() -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "7", limit_price="1.10015", time_in_force="GTC")
    order = floor.order(1)
    (first, *_) = on_record(floor)
    assert order.state is OrderState.PARTIALLY_FILLED and order.leaves == 1
    fills = on_record(floor)
    events = bust(floor, *fills)
    assert names(events)[-1] == "OrderAmended"
    assert (order.state, order.filled, order.leaves, order.quantity) == (OrderState.WORKING, 0, 1, 1)
    assert first.order_id == order.order_id


def test_the_exits_of_a_fill_go_with_it() -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1", stop_loss=D("1.09000"), take_profit=D("1.20000"))
    assert len(floor.desk.state.open_orders["b1"]) == 2
    floor.place("b1", Side.BUY, "1")
    (protected, _) = on_record(floor)
    assert names(bust(floor, protected)) == ["OrderFillBusted", "OrderCancelled", "OrderCancelled"]
    assert floor.desk.state.open_orders["b1"] == set()
    assert floor.desk.state.positions["b1:EURUSD"].quantity == 1


def test_an_exit_that_is_at_a_venue_is_left_to_it() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1", stop_loss=D("1.09000"))
    floor.fill(floor.children()[0], "1.10010")
    (entry,) = on_record(floor)
    for _ in range(5):  # A jump is believed only when it is said again.
        floor.quotes("-0.02")
    floor.act()
    (leg,) = floor.children()
    assert leg.side is Side.SELL and leg.order_id != entry.order_id
    assert "OrderCancelled" not in names(bust(floor, entry))
    assert [child.cl_ord_id for child in floor.children()] == [leg.cl_ord_id]


def test_a_loss_that_the_house_made_good_is_not_given_twice() -> None:
    """The account fell below zero at the bad price and was made good; without the loss it has what it had before."""
    floor = Floor(slippage_bps_max=D(10_000))
    floor.open_account("poor", group="b", amount=1_000)
    floor.place("poor", Side.BUY, "0.2")
    before = worth(floor, "poor")
    for _ in range(5):  # A jump is believed only when it is said again.
        floor.quotes("-0.1")
    floor.act()
    opened, closed = on_record(floor)
    assert closed.written_off > 0 and money(floor, "poor") == 0
    (back,) = only(bust(floor, closed), NegativeBalanceWrittenOff)
    assert back.amount == -closed.written_off
    assert floor.desk.state.positions["poor:EURUSD"].quantity == opened.quantity
    assert worth(floor, "poor") == before
    assert names(bust(floor, opened)) == ["OrderFillBusted"]
    assert money(floor, "poor") == 1_000 and floor.desk.state.positions == {}


def crossed() -> Floor:
    floor = Floor(internal_cross=True)
    floor.place("b1", Side.SELL, "1", limit_price="1.10005")
    floor.place("b2", Side.BUY, "1", limit_price="1.10005")
    assert {fill.book for fill in on_record(floor)} == {"CROSS"}
    return floor


def test_two_clients_who_met_are_undone_together() -> None:
    floor = crossed()
    one, other = on_record(floor)
    assert refusal(bust(floor, one)) == "OTHER_SIDE_MISSING"
    assert refusal(correct(floor, one, "1.10006")) == "CROSSED"
    assert names(bust(floor, one, other)) == ["OrderFillBusted"] * 2
    assert floor.desk.state.positions == {} and not any(name == "cross_clearing" for name, _ in books(floor))


def test_a_correction_deals_the_same_lots_at_the_other_price() -> None:
    floor = Floor(commission_per_lot=D(7))
    floor.place("b1", Side.BUY, "1")
    (fill,) = on_record(floor)
    assert names(correct(floor, fill, "1.10000")) == ["OrderFillBusted", "OrderFilled"]
    again = on_record(floor)[-1]
    assert (again.price, again.quantity, again.book, again.fill_id) == (D("1.10000"), 1, "B", "O000000001-2")
    assert again.price - again.raw_price == fill.price - fill.raw_price
    order = floor.order(1)
    assert (order.state, order.filled, order.average_price, order.commission) == (OrderState.FILLED, 1, D("1.1"), 7)
    assert floor.desk.state.positions["b1:EURUSD"].average_price == D("1.10000")
    assert refusal(correct(floor, fill, "1.10000")) == "ALREADY_BUSTED"
    assert names(bust(floor, again)) == ["OrderFillBusted"]


def test_what_is_dealt_anew_is_not_charged_on_top_of_the_turnover_of_what_it_replaces() -> None:
    """Else a fill that fell below a tier alone would be charged as if its client had dealt twice as much."""
    floor, month_us = Floor(), 31 * 86_400 * 1_000_000
    tiers = (TurnoverTier(from_turnover=D(110_014), rate=D(20)),)
    plan = Commission(basis=CommissionBasis.PER_MILLION, rate=D(100), tiers=tiers)
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    floor.place("b1", Side.BUY, "1")
    (fill,) = on_record(floor)
    assert fill.commission == D("11.00")
    (again,) = only(correct(floor, fill, "1.10012"), OrderFilled)
    assert again.commission == D("11.00")
    assert floor.desk.state.turnover["b1"][1] == D(110_012)
    floor.now_us += month_us
    floor.quotes()
    old = on_record(floor)[-1]
    floor.place("b1", Side.BUY, "1")
    (later,) = only(correct(floor, old, "1.10011"), OrderFilled)
    assert later.commission == D("11.00"), "as if it had been dealt at that price in its own month"
    now = only([each.event for each in floor.log], OrderFilled)[-2]
    assert (now.commission, now.turnover) == (D("11.00"), 0)
    assert floor.desk.state.turnover["b1"][1] == now.quantity * now.price * 100_000, "what is over counts no more"
    bust(floor, on_record(floor)[-1])
    assert floor.desk.state.turnover["b1"][1] == now.quantity * now.price * 100_000


@pytest.mark.parametrize("by_venue", [True, False])
def test_a_corrected_fill_pays_the_tier_that_it_was_dealt_in(by_venue: bool) -> None:
    """What its client dealt since is none of its: it pays as it would have at that price then, however often."""
    floor = Floor()
    tiers = (TurnoverTier(from_turnover=D(200_000), rate=D(20)),)
    plan = Commission(basis=CommissionBasis.PER_MILLION, rate=D(100), tiers=tiers)
    floor.do(cmd.ConfigurePricing(group="a", symbol="*", profile=PriceProfile(commission=plan)))
    leg = filled(floor)
    filled(floor, fill_id="E2")
    filled(floor, fill_id="E3")
    first, second, third = on_record(floor)
    assert [fill.turnover for fill in (first, second, third)] == [0, D("110013"), D("220026")]
    assert [fill.commission for fill in (first, second, third)] == [D("11.00"), D("9.40"), D("2.20")]
    for number, price in enumerate(("1.10009", "1.10008")):
        if by_venue:
            events = correct_at_venue(floor, leg, "E1", report_id=f"C{number}", price=D(price))
        else:
            events = correct(floor, on_record(floor)[-number or 0], price)
        (again,) = only(events, OrderFilled)
        assert (again.commission, again.turnover, again.place_seq) == (D("11.00"), 0, first.seq)
    assert floor.desk.state.balances["a1"] == 100_000 - D("22.60")


def test_a_fill_of_before_its_turnover_was_told_pays_the_tier_of_now() -> None:
    floor = Floor()
    plan = Commission(
        basis=CommissionBasis.PER_MILLION, rate=D(100), tiers=(TurnoverTier(from_turnover=D(1), rate=D(20)),)
    )
    floor.place("b1", Side.BUY, "1")
    floor.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=plan)))
    floor.place("b1", Side.BUY, "1")
    first, _ = on_record(floor)
    assert first.turnover is None, "where nothing goes by it, it is not told"
    (again,) = only(correct(floor, first, "1.10012"), OrderFilled)
    assert (again.commission, again.turnover) == (D("2.20"), D(110_013))


@pytest.mark.parametrize("price", ["1.10013", "1.100001", "0", "-1", "NaN", "1E+40"])
def test_a_correction_to_no_price_or_to_the_same_is_refused(price: str) -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1")
    (fill,) = on_record(floor)
    assert fill.price == D("1.10013")
    assert refusal(correct(floor, fill, price)) == "PRICE_INVALID"


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.MARKET])
def test_a_correction_is_never_worse_than_the_clients_limit(kind: OrderType) -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1", limit_price="1.10015", type=kind)
    (fill,) = on_record(floor)
    assert floor.order(1).terms.type is kind
    assert refusal(correct(floor, fill, "1.10016")) == "WORSE_THAN_LIMIT"
    assert names(correct(floor, fill, "1.10015"))[-1] == "OrderFilled"


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_id": "O000000099"},
        {"account_id": "b2"},
        {"side": Side.SELL},
        {"quantity": D(2)},
        {"quantity": D(0)},
        {"price": D("1.2")},
    ],
)
def test_a_fill_that_is_not_as_the_desk_knows_it_is_refused(wrong: dict[str, Any]) -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1")
    fill = msgspec.structs.replace(on_record(floor)[0], **wrong)
    assert refusal(bust(floor, fill)) == "FILL_UNKNOWN"
    assert refusal(correct(floor, fill, "1.1")) == "FILL_UNKNOWN"


def test_without_a_name_a_reason_or_a_fill_nothing_is_taken_back() -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1")
    (fill,) = on_record(floor)
    for blank in ({"by": ""}, {"reason": ""}):
        assert refusal(bust(floor, fill, **blank)) == "REASON_MISSING"
        assert refusal(correct(floor, fill, "1.1", **blank)) == "REASON_MISSING"
    assert refusal(bust(floor)) == "FILLS_UNUSABLE"
    assert refusal(bust(floor, fill, fill)) == "FILLS_UNUSABLE"
    many = (msgspec.structs.replace(fill, fill_id=f"F{number}") for number in range(FILLS_MAX + 1))
    assert refusal(bust(floor, *many)) == "FILLS_UNUSABLE"


def test_a_desk_recovered_from_its_log_equals_the_one_that_lived_through_busts() -> None:
    """INV-01."""
    floor = crossed()
    floor.place("b1", Side.BUY, "1")
    one, other, kept = on_record(floor)
    bust(floor, one, other)
    correct(floor, kept, "1.10001")
    again = Floor.__new__(Floor)
    again.desk = type(floor.desk)(tenant="acorn")
    for recorded in floor.log:
        again.desk.apply(recorded=recorded)
    assert digest(state=again.desk.state) == digest(state=floor.desk.state)
    assert BookMode.B in {group.book_mode for group in again.desk.state.groups.values()}
