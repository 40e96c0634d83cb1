"""One tenant's desk: what it decides, what it remembers, what a repeat hears."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, TradingState
from piggy.core.desk import Desk
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side, TimeInForce
from tests.core.floor import CLEARED, EURUSD, SECOND_US, Floor, canonical, names, only


@pytest.fixture
def floor() -> Floor:
    return Floor()


def terms(**changes: object) -> OrderTerms:
    base = {"account_id": "b1", "symbol": "EURUSD", "side": Side.BUY, "quantity": Decimal(1)}
    return OrderTerms(**(base | changes))  # type: ignore[arg-type]


def test_a_b_book_order_is_kept_at_the_best_price_plus_markup(floor: Floor) -> None:
    accepted, fill = floor.place("b1", Side.BUY, "1")
    assert (fill.book, fill.raw_price, fill.price) == ("B", Decimal("1.10010"), Decimal("1.10013"))
    assert fill.markup_revenue == Decimal("3.00") and fill.counterparty == "LP1"
    assert accepted.routing.mode == "B" and "kept" in accepted.routing.text
    assert floor.order(1).state is OrderState.FILLED


def test_an_a_book_order_larger_than_any_lp_goes_out_in_legs_naming_every_lp(floor: Floor) -> None:
    events = floor.place("a1", Side.BUY, "5")
    legs = only(events, ev.ChildOrderCreated)
    assert [(leg.venue, leg.quantity) for leg in legs] == [
        ("LP1", Decimal(2)), ("LP2", Decimal(2)), ("LP3", Decimal(1))
    ]  # fmt: skip
    considered = events[0].routing.considered
    assert {seen.venue for seen in considered} == {"LP1", "LP2", "LP3"}
    assert [seen.rank for seen in considered] == [1, 2, 3]


def test_a_venue_fill_fills_the_client_once_at_the_venues_price_plus_markup(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    events = floor.fill(leg, "1.10008", fill_id="X1")
    assert only(events, ev.OrderFilled)[0].price == Decimal("1.10011")
    assert floor.fill(leg, "1.10008", lots="1", fill_id="X1") == []
    assert floor.desk.state.exposure["EURUSD"].uncovered == 0


def test_a_rejected_leg_goes_to_the_next_venue_and_ends_refused_by_all(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    for venue in ("LP1", "LP2", "LP3"):
        (leg,) = floor.children()
        assert leg.venue == venue
        last = floor.reject(leg)
    assert only(last, ev.OrderCancelled)[0].outcome == "rejected"
    assert floor.desk.state.reserved["a1"] == 0


def test_what_an_ioc_leg_leaves_is_worked_again_at_a_new_attempt(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="0.4")
    events = floor.done(leg, filled="0.4")
    (again,) = only(events, ev.ChildOrderCreated)
    assert again.quantity == Decimal("0.6") and again.cl_ord_id.endswith("-2")


def test_a_leg_done_before_its_fill_arrives_waits_for_the_fill(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    assert names(floor.done(leg, filled="0.4")) == ["ChildOrderInDoubt"]
    assert floor.order(1).state is OrderState.IN_DOUBT
    events = floor.fill(leg, "1.10010", lots="0.4")
    assert only(events, ev.ChildOrderClosed)
    assert not floor.desk.state.children[leg.cl_ord_id].in_doubt


def test_a_doubt_told_after_the_venue_said_it_ended_leaves_the_leg_waiting_for_its_fill(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.done(leg, filled="0.4")
    late = cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="late", occurred_at_us=floor.now_us)
    assert floor.do(late) == []
    assert only(floor.fill(leg, "1.10010", lots="0.4"), ev.ChildOrderClosed)


def test_a_fill_that_finds_no_quotes_after_a_restart_is_booked_at_the_rate_of_its_order(floor: Floor) -> None:
    euros = Account(account_id="e1", group="a", owner_id="e1", currency="EUR")
    floor.do(cmd.ConfigureAccount(account=euros, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="e1", amount=Decimal(50_000), reference="gift"))
    (accepted, _) = floor.place("e1", Side.BUY, "1")
    restarted = Desk(tenant="acorn")
    for recorded in floor.log:
        restarted.apply(recorded=recorded)
    floor.desk = restarted
    (leg,) = floor.children()
    (fill,) = only(floor.fill(leg, "1.10010"), ev.OrderFilled)
    assert fill.conversion_rate == accepted.conversion_rate == (1 / Decimal("1.10001")).quantize(Decimal("1E-12"))


def test_a_fill_without_any_rate_is_told_again_and_booked_once_there_is_one(floor: Floor) -> None:
    floor.do(
        cmd.ConfigureAccount(
            account=Account(account_id="e1", group="a", owner_id="e1", currency="EUR"), clearance=CLEARED
        )
    )
    floor.do(cmd.CreditAccount(account_id="e1", amount=Decimal(50_000), reference="gift"))
    floor.place("e1", Side.BUY, "1")
    quoted, restarted = floor.desk, Desk(tenant="acorn")
    for recorded in floor.log:
        if isinstance(recorded.event, ev.OrderAccepted):
            # A log from before orders carried their rate.
            recorded = msgspec.structs.replace(
                recorded, event=msgspec.structs.replace(recorded.event, conversion_rate=None)
            )
        restarted.apply(recorded=recorded)
    floor.desk = restarted
    (leg,) = floor.children()
    assert floor.fill(leg, "1.10010", fill_id="X1") == []
    for venue in ("LP1", "LP2", "LP3"):
        found = quoted.market.quote_of(venue=venue, symbol="EURUSD")
        assert found
        restarted.quote(quote=found)
    assert only(floor.fill(leg, "1.10010", fill_id="X1"), ev.OrderFilled)


def test_a_mixed_order_is_split_exactly(floor: Floor) -> None:
    events = floor.place("mixed1", Side.BUY, "0.33")
    kept = sum(fill.quantity for fill in only(events, ev.OrderFilled))
    sent = sum(leg.quantity for leg in only(events, ev.ChildOrderCreated))
    assert (kept, sent) == (Decimal("0.20"), Decimal("0.13"))


def test_a_close_follows_the_book_of_its_open_after_the_group_changed(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    group = floor.desk.state.groups["b"]
    changed = msgspec.structs.replace(group, book_mode=BookMode.A, version=2)
    floor.do(cmd.ConfigureGroup(group=changed))
    closing = floor.place("b1", Side.SELL, "1")
    assert [fill.book for fill in only(closing, ev.OrderFilled)] == ["B"]
    opening = floor.place("b1", Side.SELL, "1")
    assert only(opening, ev.ChildOrderCreated)


def test_a_better_resting_client_is_crossed_before_the_street(floor: Floor) -> None:
    floor.place("b2", Side.SELL, "0.5", limit_price="1.10012")
    events = floor.place("b1", Side.BUY, "1")
    fills = only(events, ev.OrderFilled)
    assert [(fill.account_id, fill.book, fill.price) for fill in fills] == [
        ("b1", "CROSS", Decimal("1.10012")),
        ("b2", "CROSS", Decimal("1.10012")),
        ("b1", "B", Decimal("1.10013")),
    ]
    assert events[0].routing.cross_quantity == Decimal("0.5")


def test_clients_of_one_owner_never_trade_with_each_other(floor: Floor) -> None:
    owned = Account(account_id="b1bis", group="b", owner_id="b1", currency="USD")
    floor.do(cmd.ConfigureAccount(account=owned, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="b1bis", amount=Decimal(100_000), reference="r"))
    floor.place("b1bis", Side.SELL, "1", limit_price="1.10012")
    (denied,) = floor.place("b1", Side.BUY, "1")
    assert [check.code for check in denied.verdict.reasons] == ["P-22"]


def test_a_limit_rests_until_the_street_reaches_it_and_never_deals_worse(floor: Floor) -> None:
    (accepted,) = floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    assert "rests" in accepted.routing.text and floor.order(1).state is OrderState.WORKING
    floor.quotes("-0.00030")
    (fill,) = only(floor.act(), ev.OrderFilled)
    assert fill.price <= Decimal("1.09990")


def test_a_stop_triggers_at_the_clients_price(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", type=OrderType.STOP, stop_price=Decimal("1.09950"))
    floor.quotes("-0.00040")
    assert floor.act() == []
    floor.quotes("-0.00055")
    events = floor.act()
    assert names(events)[:1] == ["OrderTriggered"] and only(events, ev.OrderFilled)


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_order_that_may_not_wait_ends_at_once(floor: Floor, time_in_force: TimeInForce) -> None:
    events = floor.place("b1", Side.BUY, "1", limit_price="1.09000", time_in_force=time_in_force)
    assert names(events) == ["OrderAccepted", "OrderCancelled"]


def test_fill_or_kill_fills_the_whole_or_nothing(floor: Floor) -> None:
    events = floor.place("b1", Side.BUY, "9", limit_price="1.10100", time_in_force=TimeInForce.FOK)
    assert names(events) == ["OrderAccepted", "OrderCancelled"]


def test_an_order_past_the_quoted_depth_is_cut_with_the_reason(floor: Floor) -> None:
    events = floor.place("b1", Side.BUY, "7")
    assert sum(fill.quantity for fill in only(events, ev.OrderFilled)) == 6
    assert "no liquidity" in only(events, ev.OrderCancelled)[0].reason


def test_a_denied_order_names_every_reason(floor: Floor) -> None:
    (denied,) = floor.place("b1", Side.BUY, "999.005")
    codes = {check.code for check in denied.verdict.reasons}
    assert {"P-06", "P-07", "P-17"} <= codes


@pytest.mark.parametrize(("account_id", "symbol", "code"), [("nobody", "EURUSD", "P-02"), ("b1", "NOSUCH", "P-05")])
def test_an_unknown_account_or_symbol_is_denied(floor: Floor, account_id: str, symbol: str, code: str) -> None:
    (denied,) = floor.do(cmd.PlaceOrder(terms=terms(account_id=account_id, symbol=symbol)))
    assert [check.code for check in denied.verdict.reasons] == [code]


def test_a_stale_market_takes_no_new_order(floor: Floor) -> None:
    floor.now_us += 60 * SECOND_US
    (denied,) = floor.do(cmd.PlaceOrder(terms=terms()))
    assert "P-11" in {check.code for check in denied.verdict.reasons}


@pytest.mark.parametrize("scope", ["tenant", "group", "account", "symbol"])
def test_a_halt_of_any_scope_denies(floor: Floor, scope: str) -> None:
    key = {"tenant": "", "group": "b", "account": "b1", "symbol": "EURUSD"}[scope]
    floor.do(cmd.SetTradingState(scope=scope, key=key, state=TradingState.HALTED, reason="drill", by="dealer"))
    (denied,) = floor.place("b1", Side.BUY, "1")
    assert "P-01" in {check.code for check in denied.verdict.reasons}


def test_a_halted_venue_is_passed_over_with_the_reason(floor: Floor) -> None:
    floor.do(cmd.SetTradingState(scope="venue", key="LP1", state=TradingState.HALTED, reason="storm", by="dealer"))
    events = floor.place("a1", Side.BUY, "1")
    assert [leg.venue for leg in only(events, ev.ChildOrderCreated)] == ["LP2"]
    passed = {seen.venue: seen for seen in events[0].routing.considered}["LP1"]
    assert passed.rank == 0 and "halted" in passed.text


def test_a_venue_that_is_down_quotes_nothing(floor: Floor) -> None:
    floor.desk.status(status=VenueStatus(venue="LP1", state=VenueState.DOWN, text="logout", at_us=floor.now_us))
    assert "LP1" not in floor.desk.market.venues_of(symbol="EURUSD", now_us=floor.now_us)


def test_a_repeat_hears_the_first_answer_and_another_body_is_a_conflict(floor: Floor) -> None:
    command = cmd.PlaceOrder(terms=terms())
    floor.do(command, command_id="once", request_hash="h")
    first = floor.desk.answer_of(command_id="once")
    assert first.order is not None and first.order.state is OrderState.FILLED
    again = floor.desk.answer(command_id="once", request_hash="h")
    assert again is not None and again.duplicate and again.order == first.order
    other = floor.desk.answer(command_id="once", request_hash="other")
    assert other is not None and other.conflict
    assert floor.desk.answer(command_id="never", request_hash="h") is None


def test_free_margin_is_not_spent_twice(floor: Floor) -> None:
    """INV-14, small."""
    floor.open_account("poor", group="a", amount=4_000)
    first = floor.place("poor", Side.BUY, "1")
    second = floor.place("poor", Side.BUY, "1")
    assert only(first, ev.OrderAccepted) and "P-17" in {c.code for c in second[0].verdict.reasons}


def test_stop_out_closes_and_a_negative_balance_is_written_off(floor: Floor) -> None:
    floor.open_account("poor", group="b", amount=4_000)
    floor.place("poor", Side.BUY, "1")
    floor.quotes("-0.02300")
    events = floor.act()
    assert names(events)[:2] == ["MarginCalled", "StoppedOut"]
    assert only(events, ev.OrderFilled)[0].reason.startswith("kept")
    floor.open_account("poorer", group="b", amount=4_000)
    floor.place("poorer", Side.BUY, "1")
    for _ in range(5):  # A jump this large is believed only when it is said again.
        floor.quotes("-0.06500")
    events = floor.act()
    assert only(events, ev.NegativeBalanceWrittenOff)[0].amount > 0
    assert floor.desk.state.balances["poorer"] == 0


def test_money_is_booked_once_per_reference(floor: Floor) -> None:
    credit = cmd.CreditAccount(account_id="b1", amount=Decimal(50), reference="D1")
    assert names(floor.do(credit)) == ["AccountCredited"] and floor.do(credit) == []
    debit = cmd.DebitAccount(account_id="b1", amount=Decimal(1_000_000), reference="W1")
    assert floor.do(debit)[0].code == "FUNDS_NOT_FREE"
    assert names(floor.do(cmd.DebitAccount(account_id="b1", amount=Decimal(50), reference="W2"))) == ["AccountDebited"]


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_no_amount_but_a_positive_one_is_booked(floor: Floor, amount: str) -> None:
    credit = cmd.CreditAccount(account_id="b1", amount=Decimal(amount), reference="D")
    assert floor.do(credit)[0].code == "AMOUNT_NOT_POSITIVE"


def test_configuring_the_same_again_changes_nothing(floor: Floor) -> None:
    assert floor.do(cmd.ConfigureInstrument(instrument=EURUSD)) == []
    assert floor.do(cmd.ConfigureGroup(group=floor.desk.state.groups["a"])) == []
    assert floor.do(cmd.ConfigureVenue(venue=floor.desk.state.venues["LP1"])) == []


def test_an_order_is_amended_cancelled_and_not_by_others(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09990")
    order_id = "O000000001"
    assert floor.do(cmd.CancelOrder(order_id=order_id, account_id="b2"))[0].code == "ORDER_UNKNOWN"
    less = floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=Decimal("0.5")))
    assert less[0].keeps_priority
    more = floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=Decimal(2)))
    assert not more[0].keeps_priority
    assert floor.do(cmd.AmendOrder(order_id=order_id, account_id="b1", quantity=Decimal("1.001")))[0].code == "P-06"
    assert names(floor.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))) == ["OrderCancelled"]
    assert floor.do(cmd.CancelOrder(order_id=order_id, account_id="b1"))[0].code == "ORDER_NOT_OPEN"
    assert floor.desk.state.reserved["b1"] == 0


@pytest.mark.parametrize("wrong", ["unknown", "overfill", "side", "venue"])
def test_a_report_that_fits_no_order_is_suspended_never_dropped(floor: Floor, wrong: str) -> None:
    """F-14."""
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    report = cmd.RecordVenueFill(
        venue="LP3" if wrong == "venue" else leg.venue,
        cl_ord_id="nobody" if wrong == "unknown" else leg.cl_ord_id,
        venue_order_id="V",
        fill_id="X",
        symbol="EURUSD",
        side=Side.SELL if wrong == "side" else Side.BUY,
        quantity=Decimal(2) if wrong == "overfill" else Decimal(1),
        price=Decimal("1.1"),
        occurred_at_us=floor.now_us,
    )
    suspended, halted = floor.do(report)
    assert isinstance(suspended, ev.VenueReportSuspended) and suspended.code
    assert isinstance(halted, ev.TradingStateChanged)
    assert (halted.key, halted.state) == (f"{report.venue}/EURUSD", TradingState.HALTED)
    assert floor.do(report) == []
    again = msgspec.structs.replace(report, fill_id="Y")
    assert names(floor.do(again)) == ["VenueReportSuspended"], "halted once"
    elsewhere = msgspec.structs.replace(report, fill_id="Z", symbol="NOSUCH")
    assert names(floor.do(elsewhere)) == ["VenueReportSuspended"], "nobody can trade that anyway"


def test_orders_for_the_day_expire(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1", limit_price="1.09990", time_in_force=TimeInForce.DAY)
    assert floor.act() == []
    floor.now_us += 86_400 * SECOND_US
    rolled, expired = floor.act()
    assert isinstance(rolled, ev.RolledOver)
    assert expired.outcome == "expired"


def test_a_hedging_account_holds_both_sides(floor: Floor) -> None:
    floor.open_account("h1", group="b", hedging=True)
    floor.place("h1", Side.BUY, "1")
    floor.place("h1", Side.SELL, "1")
    held = [floor.desk.state.positions[key].quantity for key in floor.desk.state.positions_of["h1"]]
    assert sorted(held) == [Decimal(-1), Decimal(1)]


def test_deciding_changes_nothing(floor: Floor) -> None:
    floor.place("mixed1", Side.BUY, "1")
    before = canonical(floor.desk.state)
    for command in (cmd.PlaceOrder(terms=terms()), cmd.PlaceOrder(terms=terms(account_id="a1"))):
        assert floor.desk.decide(command=command, now_us=floor.now_us)
    assert canonical(floor.desk.state) == before


def test_the_log_alone_makes_the_same_desk(floor: Floor) -> None:
    """INV-08, small: fold of events equals the live state."""
    floor.place("mixed1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)


def test_who_must_do_the_same_again_hears_when_prices_are_taken_as_marks() -> None:
    floor, heard = Floor(), []
    floor.desk.on_marks = heard.append
    floor.quotes("0.0001")
    floor.desk.moment(now_us=floor.now_us)
    floor.desk.moment(now_us=floor.now_us + 1)
    assert heard == [floor.now_us], "nothing moved the second time"


def test_what_a_venue_says_again_of_a_leg_that_has_ended_changes_nothing(floor: Floor) -> None:
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010")
    ack = cmd.RecordVenueAck(venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V", occurred_at_us=floor.now_us)
    assert floor.do(ack) == floor.reject(leg) == floor.done(leg, filled="1") == []
