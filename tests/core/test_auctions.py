"""The call auction against every price tried by hand, and the corridors that start one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from piggy.core.auctions import AuctionOrder, interrupts, matched, uncross

REFERENCE = 100


def call(*rows: tuple[int, int, int | None]) -> list[AuctionOrder]:
    """Return orders from (side, qty, price) rows, numbered in order."""
    return [
        AuctionOrder(order_id=number, side=side, qty=qty, price=price)
        for number, (side, qty, price) in enumerate(rows, start=1)
    ]


def price_of(orders: list[AuctionOrder], reference: int = REFERENCE) -> tuple[int, int, int] | None:
    result = uncross(orders=orders, reference=reference)
    return (result.price, result.volume, result.surplus) if result else None


def test_the_price_executes_the_most() -> None:
    orders = call((0, 5, 102), (0, 5, 101), (1, 4, 100), (1, 6, 101))
    assert price_of(orders) == (101, 10, 0)


def test_among_equal_volumes_the_least_surplus_wins() -> None:
    assert price_of(call((0, 10, 102), (0, 5, 101), (1, 10, 101))) == (102, 10, 0)


def test_a_surplus_of_buyers_presses_up_and_of_sellers_down() -> None:
    assert price_of(call((0, 10, 105), (1, 6, 101))) == (105, 6, 4)
    assert price_of(call((0, 6, 105), (1, 10, 101))) == (101, 6, -4)


def test_without_pressure_the_reference_decides_within_the_range() -> None:
    orders = call((0, 10, 105), (1, 10, 95))
    assert [price_of(orders, reference) for reference in (90, 100, 110)] == [(95, 10, 0), (100, 10, 0), (105, 10, 0)]


def test_with_pressure_both_ways_the_nearest_to_the_reference_is_taken() -> None:
    orders = call((0, 10, 101), (0, 5, 100), (1, 10, 100), (1, 5, 101))
    assert price_of(orders, 99) == (100, 10, 5)
    assert price_of(orders, 103) == (101, 10, -5)


def test_a_reference_between_the_limits_may_leave_even_less() -> None:
    orders = call((0, 10, 104), (0, 5, 100), (1, 10, 100), (1, 5, 104))
    assert price_of(orders, 101) == (101, 10, 0)


def test_market_orders_alone_trade_at_the_reference() -> None:
    assert price_of(call((0, 3, None), (1, 5, None))) == (REFERENCE, 3, -2)


def test_market_orders_that_meet_deal_at_the_reference_whatever_limits_stand_beside() -> None:
    """No limit is executed: the price of one that leaves the smaller surplus would be nobody's."""
    orders = call((0, 5, None), (1, 5, None), (0, 1, 90), (1, 2, 110))
    assert [price_of(orders, at) for at in (80, 100, 120)] == [(91, 5, 0), (100, 5, 0), (109, 5, 0)]
    assert price_of(call((0, 5, None), (1, 5, None), (1, 3, 110))) == (100, 5, 0)
    assert price_of(call((0, 5, None), (1, 5, None), (0, 3, 110))) == (111, 5, 0)


def test_a_price_between_the_limits_is_taken_only_where_it_leaves_less() -> None:
    orders = call((0, 10, 104), (0, 5, 100), (1, 10, 100), (1, 5, 104))
    assert [price_of(orders, at) for at in (99, 104)] == [(101, 10, 0), (103, 10, 0)]
    assert price_of(call((0, 10, None), (1, 10, 95))) == (95, 10, 0), "the limit leaves as little"


def test_a_price_is_above_nothing() -> None:
    assert price_of(call((0, 5, None), (1, 5, None), (1, 3, 1)), 0) == (1, 5, -3)


def test_nothing_crosses_and_nothing_trades() -> None:
    for orders in ([], call((0, 5, 99), (1, 5, 101))):
        assert uncross(orders=orders, reference=REFERENCE) is None
        assert matched(orders=orders, reference=REFERENCE) == ()


def test_market_orders_go_first_then_price_then_time() -> None:
    orders = call((0, 2, 101), (0, 2, 101), (0, 3, None), (0, 2, 102), (1, 7, 100), (1, 1, 99))
    fills = [(fill.buy_order_id, fill.sell_order_id, fill.qty) for fill in matched(orders=orders, reference=101)]
    assert fills == [(3, 6, 1), (3, 5, 2), (4, 5, 2), (1, 5, 2), (2, 5, 1)]


def test_a_price_outside_of_either_corridor_interrupts() -> None:
    def at(price: int) -> bool:
        return interrupts(price=price, reference=10_000, static_reference=9_900, dynamic_bps=100, static_bps=300)

    assert [at(price) for price in (10_000, 10_100, 10_101, 9_899, 9_900)] == [False, False, True, True, False]
    assert interrupts(price=10_000, reference=10_000, static_reference=9_000, dynamic_bps=100, static_bps=300)


def by_hand(orders: list[AuctionOrder], reference: int) -> int | None:
    """Try every price, one rule after the other."""

    def lots(side: int, price: int) -> int:
        sign = 1 - 2 * side
        return sum(o.qty for o in orders if o.side == side and (o.price is None or sign * (o.price - price) >= 0))

    surplus = {price: lots(0, price) - lots(1, price) for price in range(80, 121)}
    most = max(min(lots(0, price), lots(1, price)) for price in surplus)
    left = [price for price in surplus if min(lots(0, price), lots(1, price)) == most]
    left = [price for price in left if abs(surplus[price]) == min(abs(surplus[other]) for other in left)]
    if not most:
        return None
    named = [price for price in left if price in {order.price for order in orders}]
    if not named:
        return min(left, key=lambda price: (abs(price - reference), price))
    if all(surplus[price] > 0 for price in named):
        return named[-1]
    if all(surplus[price] < 0 for price in named):
        return named[0]
    return min(max(reference, named[0]), named[-1])


rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 9), st.one_of(st.none(), st.integers(95, 105))), max_size=14
)


@given(rows=rows, reference=st.integers(93, 107))
def test_no_price_executes_more_and_nobody_is_dealt_beyond_his_limit(
    rows: list[tuple[int, int, int | None]], reference: int
) -> None:
    orders = call(*rows)

    def volume(price: int) -> int:
        buys = sum(order.qty for order in orders if order.side == 0 and (order.price is None or order.price >= price))
        sells = sum(order.qty for order in orders if order.side == 1 and (order.price is None or order.price <= price))
        return min(buys, sells)

    result = uncross(orders=orders, reference=reference)
    fills = matched(orders=orders, reference=reference)
    most = max((volume(price) for price in range(90, 111)), default=0)
    assert (result.volume if result else 0) == most == sum(fill.qty for fill in fills)
    assert (result.price if result else None) == by_hand(orders, reference)
    by_id = {order.order_id: order for order in orders}
    for fill in fills:
        buy, sell = by_id[fill.buy_order_id], by_id[fill.sell_order_id]
        assert buy.price is None or fill.price <= buy.price
        assert sell.price is None or fill.price >= sell.price
