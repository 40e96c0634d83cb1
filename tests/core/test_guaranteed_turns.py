"""Guaranteed stops beside whatever else closes or turns their position: other stops, entries, a winding down."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import touching
from piggy.core.accounts import TradingState
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from tests.core.floor import EURUSD, Floor, only
from tests.core.test_guaranteed_stops import jump, offering, protected

D = Decimal


@pytest.fixture
def floor() -> Floor:
    return offering()


@pytest.mark.parametrize("guaranteed", [True, False])
def test_who_turns_a_position_round_has_the_new_stop_and_not_the_old(floor: Floor, guaranteed: bool) -> None:
    floor.place("b1", Side.SELL, "1", stop_loss=D("1.10500"), guaranteed_stop=guaranteed)
    protected(floor, "b1", "2", "1.09500")
    (left,) = floor.desk.state.open_orders["b1"]
    stop = floor.desk.state.orders[left]
    assert (stop.terms.side, stop.leaves, stop.terms.stop_price) == (Side.SELL, D(1), D("1.09500"))
    assert stop.guaranteed and floor.order(2).state is OrderState.CANCELLED


def test_what_still_reduces_after_a_turn_stays(floor: Floor) -> None:
    """Of a position that turned within one command only the exits of its old side end."""
    floor.place("b1", Side.SELL, "1", stop_loss=D("1.10500"))
    floor.place("b1", Side.BUY, "1", limit_price="1.09000")
    floor.place("b1", Side.BUY, "2", stop_loss=D("1.09500"))
    left = [floor.desk.state.orders[order_id].terms for order_id in sorted(floor.desk.state.open_orders["b1"])]
    assert [(terms.type, terms.side) for terms in left] == [(OrderType.LIMIT, Side.BUY), (OrderType.STOP, Side.SELL)]


def test_a_stop_already_out_stands_for_lots_that_an_entry_brings_again(floor: Floor) -> None:
    """Its venue may close them yet; a second guarantee for the same lots would close what is not there."""
    protected(floor, "a1")
    (out,) = only(jump(floor, "-0.005"), ev.ChildOrderCreated)
    (close,) = only(floor.place("a1", Side.SELL, "1"), ev.ChildOrderCreated)
    floor.fill(close, "1.09500")
    assert not floor.desk.state.positions
    assert not only(protected(floor, "a1", "1", "1.08000")[2:], ev.OrderAccepted)
    assert floor.desk.state.guaranteed == {"a1": {"O000000002"}}
    floor.fill(out, "1.09500")
    assert not floor.desk.state.positions and not floor.desk.state.guaranteed


def test_of_stops_at_one_price_the_guaranteed_one_goes_first(floor: Floor) -> None:
    """An older, plain one would close at the market what its client pays to have closed at the stop."""
    floor.place("b1", Side.BUY, "1")
    stop: dict[str, Any] = {"type": OrderType.STOP, "stop_price": D("1.09900"), "reduce_only": True}
    floor.place("b1", Side.SELL, "1", **stop)
    floor.place("b1", Side.SELL, "1", **stop, guaranteed_stop=True)
    (fill,) = only(jump(floor, "-0.05"), ev.OrderFilled)
    assert (fill.order_id, fill.price) == ("O000000003", D("1.09900"))
    assert floor.order(2).state is OrderState.CANCELLED and not floor.desk.state.positions


def test_a_flattening_leaves_what_a_stop_is_owed_until_a_venue_has_told(floor: Floor) -> None:
    """Six tenths of one and a half lots are out at a venue: the stop of one lot waits, and the winding down with it."""
    protected(floor, "a1")
    (leg,) = only(floor.place("a1", Side.BUY, "0.5"), ev.ChildOrderCreated)
    floor.fill(leg, "1.10010")
    (close,) = only(floor.place("a1", Side.SELL, "0.6"), ev.ChildOrderCreated)
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.HALTED, reason="drill", by="ann"))
    assert not only(jump(floor, "-0.05"), ev.OrderFilled)
    wind_down = cmd.FlattenPositions(scope="symbol", key="EURUSD", by="ben", reason="wind down")
    events = floor.do(wind_down)
    assert not only(events, ev.OrderTriggered) and not only(events, ev.ChildOrderCreated)
    floor.fill(close, "1.05")
    (fill,) = only(floor.do(wind_down), ev.OrderFilled)
    assert (fill.quantity, fill.price) == (D("0.9"), D("1.09900")) and not floor.desk.state.positions


def test_nothing_else_is_stopped_out_before_a_guaranteed_stop_is_kept(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12,000 dollars 11,000 are lost at the market, but 110 at the stop: then the pounds are no risk."""
    monkeypatch.setattr(touching, "ORDERS_PER_STEP_MAX", 0)
    floor.do(cmd.DebitAccount(account_id="b1", amount=D(88_000), reference="out"))
    protected(floor, "b1")
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, symbol="GBPUSD", base="GBP")))
    floor.quote("LP1", "1.10000", "1.10010", symbol="GBPUSD")
    pounds = OrderTerms(account_id="b1", symbol="GBPUSD", side=Side.BUY, quantity=D(1))
    assert only(floor.do(cmd.PlaceOrder(terms=pounds)), ev.OrderFilled)
    events = jump(floor, "-0.11")
    assert [fill.price for fill in only(events, ev.OrderFilled)] == [D("1.09900")]
    assert not only(events, ev.StoppedOut) and list(floor.desk.state.positions) == ["b1:GBPUSD"]
