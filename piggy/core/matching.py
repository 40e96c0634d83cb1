"""Order types above the book, as pure rules: what a price triggers, how far a market order may go, when orders end.

The book knows only limit orders. A stop, a touched or a trailing order waits outside of it until the consolidated bid
or offer says so; a buy looks at the ask and a sell at the bid, the price that it would really get (FIX 4.4, OrdType
3, 4 and J).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import TradingState
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce

BPS = Decimal(10_000)
DAY_US = 86_400_000_000
WAITING_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP, OrderType.MARKET_IF_TOUCHED})
NEVER_RESTS = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """Why a bracket closes a position: `take_profit` or `stop_loss`, and the level that was reached."""

    kind: str
    level: Decimal


def dealt_price(*, side: Side, bid: Decimal, ask: Decimal) -> Decimal:
    """Return the side of the market that an order of `side` would be dealt at."""
    return ask if side is Side.BUY else bid


def waits(*, terms: OrderTerms) -> bool:
    """Tell whether the order stays outside of the book until a price triggers it."""
    return terms.type in WAITING_TYPES


def is_triggered(*, terms: OrderTerms, stop_price: Decimal | None, bid: Decimal, ask: Decimal) -> bool:
    """Tell whether a waiting order becomes active now.

    Stops (also stop-limit and trailing) trigger when the market moves against the order's direction of patience: a buy
    at or above its stop, a sell at or below. Market-if-touched is the mirror. `stop_price` is the current one, which
    for a trailing stop moves (see `trailed`); without one nothing triggers.
    """
    if stop_price is None or not waits(terms=terms):
        return False
    price = dealt_price(side=terms.side, bid=bid, ask=ask)
    rises = (terms.side is Side.BUY) is not (terms.type is OrderType.MARKET_IF_TOUCHED)
    return price >= stop_price if rises else price <= stop_price


def trailed(*, side: Side, stop_price: Decimal | None, distance: Decimal, bid: Decimal, ask: Decimal) -> Decimal:
    """Return where a trailing stop stands after this price: it follows the market by `distance`, never back."""
    price = dealt_price(side=side, bid=bid, ask=ask)
    if side is Side.BUY:
        wanted = price + distance
        return wanted if stop_price is None else min(stop_price, wanted)
    wanted = price - distance
    return wanted if stop_price is None else max(stop_price, wanted)


def activated(*, terms: OrderTerms) -> OrderTerms:
    """Return what a triggered order has become: a limit order where it named a limit price, else a market order."""
    limited = terms.type is OrderType.STOP_LIMIT or (
        terms.type is OrderType.MARKET_IF_TOUCHED and terms.limit_price is not None
    )
    changed = OrderType.LIMIT if limited else OrderType.MARKET
    return msgspec.structs.replace(terms, type=changed, limit_price=terms.limit_price if limited else None)


def protected_price(*, side: Side, bid: Decimal, ask: Decimal, slippage_bps_max: Decimal, tick: Decimal) -> Decimal:
    """Return the limit that protects a market order: the touch plus what it may slip, rounded towards the touch."""
    touch = dealt_price(side=side, bid=bid, ask=ask)
    ticks = (touch * slippage_bps_max / BPS) // tick
    return touch + ticks * tick * side.sign


def bracket_exit(
    *, position_side: Side, take_profit: Decimal | None, stop_loss: Decimal | None, bid: Decimal, ask: Decimal
) -> Exit | None:
    """Return which leg of a bracket a price reaches; a position is closed at the contra side.

    The stop loss is looked at first: where a gap jumps over both, the client is never flattered.
    """
    price = dealt_price(side=position_side.contra, bid=bid, ask=ask)
    sign = position_side.sign
    if stop_loss is not None and (price - stop_loss) * sign <= 0:
        return Exit(kind="stop_loss", level=stop_loss)
    if take_profit is not None and (price - take_profit) * sign >= 0:
        return Exit(kind="take_profit", level=take_profit)
    return None


def oco_losers(*, winner: str, group: str | None, open_orders: dict[str, str | None]) -> tuple[str, ...]:
    """Return the order ids to cancel when `winner` fills or triggers: all others of its one-cancels-other group.

    `open_orders` maps order id to group.
    """
    if group is None:
        return ()
    return tuple(sorted(other for other, its in open_orders.items() if its == group and other != winner))


def is_expired(*, terms: OrderTerms, accepted_at_us: int, day_end_us: int, now_us: int) -> bool:
    """Tell whether time has ended the order: GTD at its moment, DAY at the first day end after it was accepted.

    `day_end_us` is the last end of a trading day that is not after `now_us`.
    """
    if terms.time_in_force is TimeInForce.GTD:
        return terms.expires_at_us is not None and now_us >= terms.expires_at_us
    if terms.time_in_force is TimeInForce.DAY:
        return accepted_at_us < day_end_us <= now_us
    return False


def may_rest(*, terms: OrderTerms) -> bool:
    """Tell whether what is not filled at once stays on the book."""
    return terms.type is not OrderType.MARKET and terms.time_in_force not in NEVER_RESTS


def may_trade(*, state: TradingState, reduces: bool) -> bool:
    """Tell whether an order may enter: all when active, only those that reduce a position when reducing, else none."""
    return state is TradingState.ACTIVE or (state is TradingState.REDUCING and reduces)


def reducible(*, side: Side, quantity: Decimal, net_position: Decimal) -> Decimal:
    """Return how much of a reduce-only order may trade against a signed net position; 0 where it would open or add."""
    against = -net_position * side.sign
    return max(min(quantity, against), Decimal(0))
