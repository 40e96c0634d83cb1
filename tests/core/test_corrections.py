"""Busts and corrections: what a venue takes back or restates stands no more, for client, house and books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import TradingState
from piggy.core.correction_events import HedgeFillBusted, OrderFillBusted, VenueFillBusted, VenueReportParked
from piggy.core.corrections import PARKED_US_MAX
from piggy.core.events import AnyEvent, ChildOrderCreated
from piggy.core.orders import OrderState, Side
from tests.core.floor import EURUSD, Floor, names, only
from tests.core.hedging_floor import House

D = Decimal
DAY_US = 86_400 * 1_000_000


def bust(floor: Floor, leg: ChildOrderCreated, ref: str, report_id: str = "") -> list[AnyEvent]:
    return floor.do(
        cmd.RecordVenueBust(
            venue=leg.venue,
            cl_ord_id=leg.cl_ord_id,
            report_id=report_id or f"B-{ref}",
            ref_fill_id=ref,
            text="off market",
            occurred_at_us=floor.now_us,
        )
    )


def correct(floor: Floor, leg: ChildOrderCreated, ref: str, **changes: Any) -> list[AnyEvent]:
    given = {
        "report_id": f"C-{ref}",
        "symbol": leg.symbol,
        "side": leg.side,
        "quantity": D(1),
        "price": D("1.10010"),
        "text": "",
        "occurred_at_us": floor.now_us,
    }
    return floor.do(
        cmd.RecordVenueCorrection(venue=leg.venue, cl_ord_id=leg.cl_ord_id, ref_fill_id=ref, **(given | changes))
    )


def filled(
    floor: Floor, lots: str = "1", side: Side = Side.BUY, price: str = "1.10010", fill_id: str = "E1"
) -> ChildOrderCreated:
    floor.place("a1", side, lots)
    (leg,) = floor.children()
    floor.fill(leg, price, fill_id=fill_id)
    return leg


def books(floor: Floor) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    for recorded in floor.log:
        for line in ledger.postings(event=recorded.event, currency="USD"):
            sums[(line.gl_account, line.owner)] = sums.get((line.gl_account, line.owner), D(0)) + line.amount
    return {key: amount for key, amount in sums.items() if amount}


def position(floor: Floor) -> Any:
    return floor.desk.state.positions.get("a1:EURUSD")


def test_a_bust_leaves_everything_as_if_the_fill_had_never_been() -> None:
    """F-15, INV-23: position, balance, commission, turnover, exposure and every posting; the log only grows."""
    floor = Floor(commission_per_lot=D(7))
    before, balance, venue = books(floor), floor.desk.state.balances["a1"], floor.desk.state.exposure["EURUSD"]
    leg = filled(floor)
    seqs = [recorded.seq for recorded in floor.log]
    floor.now_us += 3 * DAY_US
    events = bust(floor, leg, "E1")
    assert names(events) == ["VenueFillBusted", "OrderFillBusted"]
    state, order = floor.desk.state, floor.order(1)
    assert (order.state, order.filled, order.leaves, order.text) == (OrderState.CANCELLED, 0, 0, "off market")
    assert (order.commission, order.average_price) == (0, 0)
    assert position(floor) is None and state.balances["a1"] == balance
    assert (venue.venue_net, venue.venue_cash, venue.client_net, venue.realised) == (0, 0, 0, 0)
    assert state.turnover["a1"][1] == 0 and state.used_margin["a1"] == 0
    assert books(floor) == before
    assert [recorded.seq for recorded in floor.log[: len(seqs)]] == seqs


def test_a_bust_heard_twice_is_one_bust() -> None:
    floor = Floor()
    leg = filled(floor)
    bust(floor, leg, "E1")
    assert bust(floor, leg, "E1") == []
    (again,) = bust(floor, leg, "E1", report_id="other")
    assert isinstance(again, ev.VenueReportSuspended) and again.code == "already_busted"


def test_the_average_price_is_restated_from_the_fills_that_stand() -> None:
    floor = Floor()
    first, second = filled(floor, price="1.10000"), filled(floor, price="1.10200", fill_id="E2")
    assert position(floor).average_price == D("1.10103")
    bust(floor, first, "E1")
    assert position(floor).average_price == D("1.10203")
    bust(floor, second, "E2")
    assert position(floor) is None


def test_a_bust_of_an_opening_that_was_closed_leaves_the_close_open() -> None:
    """The client bought at 1.10003, sold at 1.10047; without the purchase he is short, and the money is the same."""
    floor = Floor()
    leg = filled(floor, price="1.10000")
    filled(floor, side=Side.SELL, price="1.10049", fill_id="E2")
    assert floor.desk.state.balances["a1"] == D("100044.00") and position(floor) is None
    (busted,) = only(bust(floor, leg, "E1"), OrderFillBusted)
    held, balance = position(floor), floor.desk.state.balances["a1"]
    assert held.quantity == -1 and busted.symbol_margin > 0
    at_mark = (held.quantity * D("1.10030") - held.cost) * 100_000 + balance
    assert at_mark == 100_000 + (D("1.10047") - D("1.10030")) * 100_000


def test_a_bust_of_a_close_gives_the_position_back_as_it_was() -> None:
    floor = Floor()
    filled(floor, lots="2", price="1.10000")
    before = position(floor)
    leg = filled(floor, side=Side.SELL, price="1.10049", fill_id="E2")
    bust(floor, leg, "E2")
    after = position(floor)
    assert (after.quantity, after.cost, after.a_lots, after.rate_weight) == (
        before.quantity, before.cost, before.a_lots, before.rate_weight
    )  # fmt: skip
    assert floor.desk.state.balances["a1"] == D(100_000)


def test_a_fill_that_turned_the_position_is_taken_out_of_both_its_lives() -> None:
    floor = Floor()
    filled(floor, price="1.10000")
    turn = filled(floor, lots="2", side=Side.SELL, price="1.10049", fill_id="E2")
    assert position(floor).quantity == -1
    bust(floor, turn, "E2")
    assert position(floor).quantity == 1


def test_a_corrected_price_restates_the_client_at_his_own_markup() -> None:
    floor = Floor()
    leg = filled(floor)
    events = correct(floor, leg, "E1", price=D("1.10008"))
    assert names(events) == ["VenueFillBusted", "OrderFillBusted", "ChildOrderFilled", "OrderFilled"]
    order = floor.order(1)
    assert (order.state, order.filled, order.average_price) == (OrderState.FILLED, 1, D("1.10011"))
    assert position(floor).average_price == D("1.10011")
    assert floor.desk.state.exposure["EURUSD"].venue_cash == D("-1.10008")


def test_a_smaller_correction_leaves_the_ended_order_short_and_a_larger_one_goes_to_the_house() -> None:
    floor = Floor()
    leg = filled(floor, lots="2")
    correct(floor, leg, "E1", quantity=D("1.5"))
    order = floor.order(1)
    assert (order.state, order.filled, order.leaves) == (OrderState.CANCELLED, D("1.5"), 0)
    events = correct(floor, leg, "C-E1", quantity=D(2))
    (house,) = only(events, ev.VenueReportSuspended)
    assert house.code == "overfill" and "0.5 lots" in house.text
    assert (order.filled, floor.desk.state.exposure["EURUSD"].venue_net) == (D("1.5"), 2)


def test_a_correction_names_the_first_fill_or_the_latest_and_an_older_one_changes_nothing() -> None:
    floor = Floor()
    leg = filled(floor)
    now_us = floor.now_us
    correct(floor, leg, "E1", price=D("1.10008"), occurred_at_us=now_us + 2)
    (late,) = correct(floor, leg, "E1", report_id="C0", price=D("1.10001"), occurred_at_us=now_us + 1)
    assert isinstance(late, ev.VenueReportSuspended) and late.code == "outdated"
    correct(floor, leg, "E1", report_id="C2", price=D("1.10005"), occurred_at_us=now_us + 3)
    assert floor.order(1).average_price == D("1.10008")
    bust(floor, leg, "E1")
    assert floor.order(1).filled == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": Side.SELL}, "wrong_order"), ({"symbol": "GBPUSD"}, "wrong_order"),
        ({"quantity": D(0)}, "bad_numbers"), ({"price": D("-1")}, "bad_numbers"), ({"quantity": D("1.01")}, "overfill"),
    ],
)  # fmt: skip
def test_a_correction_that_cannot_be_is_kept_for_a_person(changes: dict[str, Any], code: str) -> None:
    floor = Floor()
    leg = filled(floor)
    (kept,) = correct(floor, leg, "E1", **changes)
    assert isinstance(kept, ev.VenueReportSuspended) and kept.code == code
    assert floor.order(1).filled == 1
    assert correct(floor, leg, "E1", **changes) == [], "told once"


def test_a_bust_of_a_fill_that_was_suspended_goes_to_the_same_person() -> None:
    floor = Floor()
    leg = filled(floor)
    floor.fill(leg, "1.1", lots="5", fill_id="E9")
    (kept,) = bust(floor, leg, "E9")
    assert isinstance(kept, ev.VenueReportSuspended) and kept.code == "no_such_fill"


def test_a_bust_before_its_fill_is_parked_and_applied_when_the_fill_comes() -> None:
    """F-16."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    (parked,) = bust(floor, leg, "E1")
    assert isinstance(parked, VenueReportParked)
    assert bust(floor, leg, "E1") == [] and floor.act() == []
    floor.fill(leg, "1.10010", fill_id="E1")
    done = floor.act()
    assert names(done)[:2] == ["VenueFillBusted", "OrderFillBusted"]
    assert not floor.desk.state.parked and floor.order(1).filled == 0


def test_after_a_day_a_parked_report_goes_to_a_person() -> None:
    """F-16: parked for 24 h at most, then alarm."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    correct(floor, leg, "E1")
    floor.now_us += PARKED_US_MAX - 1
    floor.act()
    assert len(floor.desk.state.parked) == 1
    floor.now_us += 1
    (alarm,) = only(floor.act(), ev.VenueReportSuspended)
    assert alarm.code == "unknown_fill" and not floor.desk.state.parked


def test_a_parked_report_whose_id_a_fill_took_goes_to_a_person() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    bust(floor, leg, "E1", report_id="E2")
    floor.fill(leg, "1.10010", lots="0.5", fill_id="E2")
    floor.fill(leg, "1.10010", fill_id="E1")
    (kept,) = only(floor.act(), ev.VenueReportSuspended)
    assert kept.code == "id_taken" and not floor.desk.state.parked


def test_what_a_working_order_loses_is_open_again_where_its_leg_lives() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "2")
    (leg,) = floor.children()
    reserved = floor.desk.state.reserved["a1"]
    floor.fill(leg, "1.10010", lots="0.5", fill_id="E1")
    floor.fill(leg, "1.10010", lots="0.5", fill_id="E2")
    assert bust(floor, leg, "E2")[-1].order_id == "O000000001"
    order = floor.order(1)
    assert (order.state, order.filled, order.leaves, order.routed) == (OrderState.PARTIALLY_FILLED, D("0.5"), 1.5, 1.5)
    bust(floor, leg, "E1")
    assert (order.state, order.filled, order.routed, floor.desk.state.reserved["a1"]) == ("routed", 0, 2, reserved)
    floor.fill(leg, "1.10010", fill_id="E3")
    assert order.state is OrderState.FILLED


def test_what_a_working_order_loses_of_an_ended_leg_is_asked_of_another_venue() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "3")
    first, second = floor.children()
    floor.fill(first, "1.10010", fill_id="E1")
    floor.now_us += 1
    floor.requote()
    events = bust(floor, first, "E1")
    assert sum(leg.quantity for leg in only(events, ChildOrderCreated)) == first.quantity
    order = floor.order(1)
    assert (order.filled, order.routed) == (0, 3) and second in floor.children()


def test_a_leg_that_ended_short_closes_when_the_bust_says_why() -> None:
    """The venue ends a leg with one lot, we know of two: it stays in doubt until the bust of the other comes."""
    floor = Floor()
    for venue in ("LP2", "LP3"):
        floor.do(cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="", by="d"))
    floor.place("a1", Side.BUY, "2")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.5", fill_id="E1")
    floor.fill(leg, "1.10010", lots="1", fill_id="E2")
    floor.quote("LP1", "", "")
    floor.done(leg, filled="0.5")
    order = floor.order(1)
    assert order.state is OrderState.IN_DOUBT
    assert "ChildOrderClosed" in names(bust(floor, leg, "E2"))
    assert (order.state, order.filled, order.routed) == (OrderState.CANCELLED, D("0.5"), 0)


def test_turnover_of_a_month_that_is_over_is_left_alone() -> None:
    floor = Floor()
    leg = filled(floor)
    floor.now_us += 40 * DAY_US
    filled(floor, fill_id="E2")
    month = floor.desk.state.turnover["a1"]
    bust(floor, leg, "E1")
    assert floor.desk.state.turnover["a1"] == month


def test_a_bust_that_leaves_a_flat_account_in_debt_is_written_off() -> None:
    """Negative-balance protection holds for what comes late, too."""
    floor = Floor(negative_balance_protection=True)
    filled(floor, price="1.10000")
    leg = filled(floor, side=Side.SELL, price="1.10049", fill_id="E2")
    floor.do(cmd.DebitAccount(account_id="a1", amount=D(100_044), reference="all of it"))
    events = correct(floor, leg, "E2", side=Side.SELL, price=D("1.10039"))
    (written,) = only(events, ev.NegativeBalanceWrittenOff)
    assert floor.desk.state.balances["a1"] == 0 and written.amount == D("10.00")


def test_a_reducing_order_ends_when_the_bust_leaves_nothing_to_reduce() -> None:
    floor = Floor()
    leg = filled(floor)
    floor.place("a1", Side.SELL, "1", limit_price="1.10400", reduce_only=True)
    assert "OrderCancelled" in names(bust(floor, leg, "E1"))
    assert floor.order(2).state is OrderState.CANCELLED


def test_a_correction_does_not_protect_the_same_lots_twice() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "1", take_profit=D("1.20000"))
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="E1")
    assert not only(correct(floor, leg, "E1", price=D("1.10008")), ev.OrderAccepted)


def test_a_correction_that_no_rate_can_book_waits_until_there_is_one() -> None:
    floor = Floor()
    leg = filled(floor)
    floor.desk.state.rates.clear()
    floor.desk.state.instruments["EURUSD"] = msgspec.structs.replace(EURUSD, quote="SEK")
    assert correct(floor, leg, "E1") == []


def test_a_bust_of_a_hedge_opens_the_risk_again() -> None:
    house = House()
    house.clients_buy("4")
    legs = house.children()
    for leg in legs:
        house.fill(leg, str(leg.limit_price), fill_id=f"E-{leg.venue}")
    hedge = house.desk.state.hedges["H000000001"]
    filled_lots, venue = hedge.filled, house.desk.state.exposure["EURUSD"]
    events = bust(house, legs[0], f"E-{legs[0].venue}")
    (busted,) = only(events, HedgeFillBusted)
    assert names(events) == ["VenueFillBusted", "HedgeFillBusted"] and busted.realised == 0
    assert hedge.filled == filled_lots - legs[0].quantity == venue.venue_net
    assert house.desk.state.house_positions.get((legs[0].venue, "EURUSD")) is None
    assert house.desk.state.hedge_pending["EURUSD"] == 0
    assert ledger.is_balanced(ledger.postings(event=busted, currency=""))


def test_a_hedge_under_way_counts_what_it_lost_as_still_to_come_and_a_correction_deals_anew() -> None:
    house = House()
    house.clients_buy("4")
    (leg, *others) = house.children()
    house.fill(leg, str(leg.limit_price), lots="1", fill_id="E1")
    pending = house.desk.state.hedge_pending["EURUSD"]
    bust(house, leg, "E1")
    assert house.desk.state.hedge_pending["EURUSD"] == pending + 1
    house.fill(leg, str(leg.limit_price), lots="0.5", fill_id="E2")
    for other in others:
        house.fill(other, str(other.limit_price))
    events = correct(house, leg, "E2", quantity=leg.quantity, price=leg.limit_price - D("0.00001"))
    assert names(events) == ["VenueFillBusted", "HedgeFillBusted", "ChildOrderFilled", "HedgeFilled", "HedgeClosed"]
    assert house.desk.state.hedge_pending["EURUSD"] == 0 and not house.desk.state.open_hedges
    held = house.desk.state.house_positions[(leg.venue, "EURUSD")]
    assert (held.quantity, held.average_price) == (leg.quantity, leg.limit_price - D("0.00001"))


def test_a_hedge_whose_leg_ended_short_closes_with_the_bust_that_says_why() -> None:
    house = House()
    house.clients_buy("4")
    (leg, *others) = house.children()
    house.fill(leg, str(leg.limit_price), lots="0.5", fill_id="E1")
    house.fill(leg, str(leg.limit_price), lots="0.5", fill_id="E2")
    house.done(leg, filled="0.5")
    for other in others:
        house.fill(other, str(other.limit_price))
    (closed,) = only(bust(house, leg, "E2"), ev.HedgeClosed)
    assert closed.outcome == "short"


def test_a_bust_supersedes_the_venues_fill_and_the_clients() -> None:
    floor = Floor()
    leg = filled(floor)
    events = bust(floor, leg, "E1")
    (event,), (client,) = only(events, VenueFillBusted), only(events, OrderFillBusted)
    assert (event.corrected_by, event.quantity, event.side) == ("", 1, Side.BUY)
    superseded = [floor.log[seq - 1].event for seq in (event.supersedes, client.supersedes)]
    assert names(superseded) == ["ChildOrderFilled", "OrderFilled"]
