"""The order types above the book: what triggers, protects, expires and may trade."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import matching
from piggy.core.accounts import TradingState
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce

BID, ASK = Decimal("1.1000"), Decimal("1.1002")


def terms(side: Side = Side.BUY, **more: object) -> OrderTerms:
    return OrderTerms(account_id="A1", symbol="EURUSD", side=side, quantity=Decimal(1), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type_", "side", "stop", "triggered"),
    [
        (OrderType.STOP, Side.BUY, "1.1002", True),
        (OrderType.STOP, Side.BUY, "1.1003", False),
        (OrderType.STOP, Side.SELL, "1.1000", True),
        (OrderType.STOP, Side.SELL, "1.0999", False),
        (OrderType.STOP_LIMIT, Side.BUY, "1.1001", True),
        (OrderType.TRAILING_STOP, Side.SELL, "1.1001", True),
        (OrderType.MARKET_IF_TOUCHED, Side.BUY, "1.1002", True),
        (OrderType.MARKET_IF_TOUCHED, Side.BUY, "1.1001", False),
        (OrderType.MARKET_IF_TOUCHED, Side.SELL, "1.1000", True),
        (OrderType.MARKET_IF_TOUCHED, Side.SELL, "1.1001", False),
        (OrderType.LIMIT, Side.BUY, "1.1000", False),
    ],
)
def test_a_waiting_order_triggers_at_its_price_and_not_before(
    type_: OrderType, side: Side, stop: str, triggered: bool
) -> None:
    order = terms(side, type=type_)
    assert matching.is_triggered(terms=order, stop_price=Decimal(stop), bid=BID, ask=ASK) is triggered
    assert not matching.is_triggered(terms=order, stop_price=None, bid=BID, ask=ASK)


@pytest.mark.parametrize(
    ("side", "before", "after"),
    [
        (Side.SELL, None, "1.0990"),
        (Side.SELL, "1.0980", "1.0990"),
        (Side.SELL, "1.0995", "1.0995"),
        (Side.BUY, None, "1.1012"),
        (Side.BUY, "1.1020", "1.1012"),
        (Side.BUY, "1.1005", "1.1005"),
    ],
)
def test_a_trailing_stop_follows_the_market_and_never_goes_back(side: Side, before: str | None, after: str) -> None:
    stop = None if before is None else Decimal(before)
    moved = matching.trailed(side=side, stop_price=stop, distance=Decimal("0.0010"), bid=BID, ask=ASK)
    assert moved == Decimal(after)


@pytest.mark.parametrize(
    ("type_", "limit", "becomes"),
    [
        (OrderType.STOP, "1.2", OrderType.MARKET),
        (OrderType.STOP_LIMIT, "1.2", OrderType.LIMIT),
        (OrderType.MARKET_IF_TOUCHED, None, OrderType.MARKET),
        (OrderType.MARKET_IF_TOUCHED, "1.2", OrderType.LIMIT),
    ],
)
def test_a_triggered_order_becomes_a_market_or_a_limit_order(
    type_: OrderType, limit: str | None, becomes: OrderType
) -> None:
    active = matching.activated(terms=terms(type=type_, limit_price=Decimal(limit) if limit else None))
    assert active.type is becomes
    assert active.limit_price == (Decimal("1.2") if becomes is OrderType.LIMIT else None)


def test_a_market_order_is_protected_by_a_limit_on_the_tick() -> None:
    allowed = {"bid": BID, "ask": ASK, "slippage_bps_max": Decimal(5), "tick": Decimal("0.0001")}
    assert matching.protected_price(side=Side.BUY, **allowed) == Decimal("1.1007")  # type: ignore[arg-type]
    assert matching.protected_price(side=Side.SELL, **allowed) == Decimal("1.0995")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "profit", "loss", "kind"),
    [
        (Side.BUY, "1.1000", "1.0900", "take_profit"),
        (Side.BUY, "1.1001", "1.0900", None),
        (Side.BUY, "1.2000", "1.1000", "stop_loss"),
        (Side.SELL, "1.1002", "1.2000", "take_profit"),
        (Side.SELL, "1.1001", "1.2000", None),
        (Side.SELL, "1.0000", "1.1002", "stop_loss"),
        (Side.BUY, "1.0000", "1.1000", "stop_loss"),
        (Side.BUY, None, None, None),
    ],
)
def test_a_bracket_closes_at_the_side_that_would_be_dealt(
    side: Side, profit: str | None, loss: str | None, kind: str | None
) -> None:
    leg = matching.bracket_exit(
        position_side=side,
        take_profit=Decimal(profit) if profit else None,
        stop_loss=Decimal(loss) if loss else None,
        bid=BID,
        ask=ASK,
    )
    assert (leg.kind if leg else None) == kind


def test_one_cancels_all_others_of_its_group() -> None:
    orders = {"O1": "G", "O2": "G", "O3": "H", "O4": None}
    assert matching.oco_losers(winner="O1", group="G", open_orders=orders) == ("O2",)
    assert matching.oco_losers(winner="O4", group=None, open_orders=orders) == ()


@pytest.mark.parametrize(
    ("tif", "expires", "accepted", "now", "expired"),
    [
        (TimeInForce.GTD, 100, 0, 99, False),
        (TimeInForce.GTD, 100, 0, 100, True),
        (TimeInForce.GTD, None, 0, 100, False),
        (TimeInForce.DAY, None, 40, 50, True),
        (TimeInForce.DAY, None, 50, 60, False),
        (TimeInForce.GTC, None, 0, 10**18, False),
    ],
)
def test_time_ends_gtd_and_day_orders_only(
    tif: TimeInForce, expires: int | None, accepted: int, now: int, expired: bool
) -> None:
    order = terms(time_in_force=tif, expires_at_us=expires)
    assert matching.is_expired(terms=order, accepted_at_us=accepted, day_end_us=50, now_us=now) is expired


def test_only_limit_orders_that_may_wait_rest() -> None:
    limit = {"type": OrderType.LIMIT, "limit_price": BID}
    assert matching.may_rest(terms=terms(**limit))
    assert not matching.may_rest(terms=terms(**limit, time_in_force=TimeInForce.IOC))
    assert not matching.may_rest(terms=terms(**limit, time_in_force=TimeInForce.FOK))
    assert not matching.may_rest(terms=terms())


def test_trading_states_let_in_all_some_or_none() -> None:
    allowed = [
        (matching.may_trade(state=state, reduces=False), matching.may_trade(state=state, reduces=True))
        for state in TradingState
    ]
    assert allowed == [(True, True), (False, True), (False, False), (False, False)]


@pytest.mark.parametrize(
    ("side", "position", "quantity"),
    [(Side.SELL, 3, 3), (Side.SELL, 8, 5), (Side.SELL, -3, 0), (Side.BUY, -3, 3), (Side.BUY, 0, 0)],
)
def test_a_reduce_only_order_never_opens(side: Side, position: int, quantity: int) -> None:
    assert matching.reducible(side=side, quantity=Decimal(5), net_position=Decimal(position)) == quantity
