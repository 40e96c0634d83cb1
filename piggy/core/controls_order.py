"""Controls P-01 to P-11: may this person, this product and this price be traded now. Each answers one question."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.accounts import TradingState
from piggy.core.events import Check
from piggy.core.gate import PRICES, UNSET, GateContext, at_most, insane_number, unpriced, yes
from piggy.core.instruments import has_expired
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.core.quotefilter import AHEAD_MS_MAX

BPS = Decimal(10_000)
HUNDRED = Decimal(100)
ICEBERG_PARTS_MAX = 1_000  # Each part is a fill of its own, and all of them may come with one order.
TWO = Decimal(2)
_ACTIVE, _REDUCING = TradingState.ACTIVE, TradingState.REDUCING
_MARKET, _TRAILING = OrderType.MARKET, OrderType.TRAILING_STOP
_BUY, _GTD, _AT_ONCE = Side.BUY, TimeInForce.GTD, (TimeInForce.IOC, TimeInForce.FOK)
STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2, TradingState.KILLED: 3}
# Tuples, for membership in them asks identity first; hashing an enum member costs ten times more.
_NEEDS_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_DEALS_AT_ONCE = (OrderType.MARKET, OrderType.LIMIT)
_NEEDS_STOP = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED)
_PASSED = {
    code: Check(code=code, passed=True) for code in ("P-01", "P-02", "P-03", "P-04", "P-05", "P-06", "P-09", "P-10")
}


def trading_state(*, context: GateContext) -> Check:
    """P-01: the strictest state of firm, tenant, group, account, symbol and venue; REDUCING lets reductions pass."""
    strictest = _ACTIVE if context.states else TradingState.HALTED
    for state in context.states:
        if state is not _ACTIVE and STRICTNESS[state] > STRICTNESS[strictest]:
            strictest = state
    if strictest is _ACTIVE:
        return _PASSED["P-01"]
    passed = strictest is _REDUCING and (context.reduces or context.eases)
    return yes(code="P-01", passed=passed, value=str(strictest), text=f"trading is {strictest}")


def authorised(*, context: GateContext) -> Check:
    """P-02: person and account cleared."""
    if context.account.open and context.permissions.cleared:
        return _PASSED["P-02"]
    return yes(code="P-02", passed=False, text="the account or its owner may not trade")


def product_permitted(*, context: GateContext) -> Check:
    """P-03: this product, for this client, where the client lives."""
    if context.permissions.permits(symbol=context.instrument.symbol):
        return _PASSED["P-03"]
    return yes(code="P-03", passed=False, text="the product is not permitted to this client")


def not_restricted(*, context: GateContext) -> Check:
    """P-04: not on a restricted list of firm, tenant or client."""
    if context.instrument.symbol not in context.restricted:
        return _PASSED["P-04"]
    return yes(code="P-04", passed=False, text="the instrument is on a restricted list")


def market_open(*, context: GateContext) -> Check:
    """P-05: in session, not halted; an option not expired."""
    expired = has_expired(instrument=context.instrument, now_us=context.now_us)
    if context.session_open and context.instrument.tradable and not expired:
        return _PASSED["P-05"]
    return yes(code="P-05", passed=False, text="the instrument is not in session")


def well_formed(*, context: GateContext) -> Check:
    """P-06: numbers are numbers, on their steps and in their bounds, and what the type needs is there."""
    fault = _fault(context)
    return _PASSED["P-06"] if fault is None else yes(code="P-06", passed=False, text=fault)


def order_value(*, context: GateContext) -> Check:
    """P-07 (RTS 6 15.1b)."""
    if context.notional is None:
        return yes(code="P-07", passed=False, limit=str(context.limits.order_value_max), text=unpriced(context=context))
    return at_most(
        code="P-07", value=context.notional, limit=context.limits.order_value_max, text="the order value is too large"
    )


def order_volume(*, context: GateContext) -> Check:
    """P-08 (RTS 6 15.1c)."""
    limit = context.limits.order_volume_max_lots
    return at_most(code="P-08", value=context.terms.quantity, limit=limit, text="the order volume is too large")


def price_collar(*, context: GateContext) -> Check:
    """P-09 (RTS 6 15.1a): limit and stop prices against the live mid, whose age is bounded too."""
    terms = context.terms
    if terms.limit_price is None and terms.stop_price is None:
        return _PASSED["P-09"]
    limits = context.limits
    percent = limits.collar_percent.get(context.instrument.asset_class)
    if percent is None or limits.collar_age_ms_max is None:
        return yes(code="P-09", passed=False, text=f"price collar: {UNSET}")
    if context.bid is None or context.ask is None or context.age_ms is None:
        return yes(code="P-09", passed=False, text=unpriced(context=context))
    if not -AHEAD_MS_MAX <= context.age_ms <= limits.collar_age_ms_max:
        return yes(code="P-09", passed=False, value=f"{context.age_ms} ms", text="the collar's reference is stale")
    doubled = context.bid + context.ask
    away = _away(terms.limit_price, doubled)
    if terms.stop_price is not None:
        away = max(away, _away(terms.stop_price, doubled))
    text = "the price is too far from the market"
    return at_most(code="P-09", value=away, limit=percent, text=text)


def market_protection(*, context: GateContext) -> Check:
    """P-10: a market order needs a slippage bound, and its own bound may not be wider."""
    terms, limit = context.terms, context.limits.slippage_bps_max
    if terms.type is not _MARKET:
        return _PASSED["P-10"]
    if limit is None:
        return yes(code="P-10", passed=False, text=f"market order protection: {UNSET}")
    touch = context.ask if terms.side is _BUY else context.bid
    if touch is None:
        return yes(code="P-10", passed=False, text=unpriced(context=context))
    if terms.limit_price is None:
        return Check(code="P-10", passed=True, limit=str(limit))
    allowed = (terms.limit_price - touch) * terms.side.sign * BPS / touch
    return at_most(code="P-10", value=allowed, limit=limit, text="the slippage allowed is too wide")


def price_fresh(*, context: GateContext) -> Check:
    """P-11: no trading on a stale price, except closing where the dealer allows it."""
    limits = context.limits
    if limits.close_on_stale_price and context.reduces:
        return yes(code="P-11", passed=True, text="", value="closing")
    if context.age_ms is None:
        return yes(code="P-11", passed=False, limit=str(limits.price_age_ms_max), text=unpriced(context=context))
    if context.age_ms < -AHEAD_MS_MAX:
        return yes(code="P-11", passed=False, value=str(context.age_ms), text="the price is of the future")
    return at_most(code="P-11", value=context.age_ms, limit=limits.price_age_ms_max, text="the price is stale")


def _away(price: Decimal | None, doubled_mid: Decimal) -> Decimal:
    """Return how far a price is from the mid, in percent of it; no price is no distance."""
    return ZERO if price is None else abs(TWO * price - doubled_mid) * HUNDRED / doubled_mid


def _fault(context: GateContext) -> str | None:
    if not context.sane:
        return f"the {insane_number(terms=context.terms)} must be finite, above zero and at most a million million"
    terms, instrument = context.terms, context.instrument
    too_small = terms.quantity < instrument.lot_min and not (context.is_exit or _closes_all(context))
    if too_small or terms.quantity > instrument.lot_max:
        return f"the quantity must be from {instrument.lot_min} to {instrument.lot_max} lots"
    if terms.quantity % instrument.lot_step and not (context.lots_given or _closes_all(context)):
        return f"the quantity must be a multiple of {instrument.lot_step} lots"
    for name, lots in (("display", terms.display_quantity), ("minimum", terms.minimum_quantity)):
        if lots is not None and lots % instrument.lot_step:
            return f"the {name} quantity must be a multiple of {instrument.lot_step} lots"
    fault = _price_fault(terms, instrument.tick_size) or _shape_fault(terms, context.now_us)
    if fault is None and (terms.take_profit is not None or terms.stop_loss is not None):
        return _exits_fault(context)
    return _exit_fault(context) if fault is None and context.is_exit and not context.eases else fault


def _closes_all(context: GateContext) -> bool:
    """Return whether nothing is left of what is held: a venue, or a step changed since, may leave what no order has."""
    held = context.position_net if context.closable is None else context.closable
    return context.reduces and context.open_lots == abs(held)


def _price_fault(terms: OrderTerms, tick: Decimal) -> str | None:
    if terms.limit_price is None and terms.type in _NEEDS_LIMIT:
        return "this order type needs a limit price"
    if terms.stop_price is None and terms.type in _NEEDS_STOP:
        return "this order type needs a stop price"
    if terms.stop_price is not None and terms.type in _DEALS_AT_ONCE:
        return "this order type has no stop price"
    if (terms.trailing_distance is None) is (terms.type is _TRAILING):
        return "a trailing stop, and nothing else, needs a distance"
    for price in (terms.limit_price, terms.stop_price, terms.trailing_distance, terms.take_profit, terms.stop_loss):
        if price is not None and price % tick:
            off = next(name for name in PRICES if (getattr(terms, name) or ZERO) % tick).replace("_", " ")
            return f"the {off} must be a multiple of {tick}"
    return None


def _shape_fault(terms: OrderTerms, now_us: int) -> str | None:
    if terms.display_quantity is not None and terms.display_quantity > terms.quantity:
        return "the display quantity may not exceed the quantity"
    if terms.display_quantity is not None and terms.quantity > terms.display_quantity * ICEBERG_PARTS_MAX:
        return f"the display quantity makes more than {ICEBERG_PARTS_MAX} parts of the order"
    if terms.minimum_quantity is not None and terms.minimum_quantity > (terms.display_quantity or terms.quantity):
        return "the minimum quantity may not exceed the quantity, nor what is displayed"
    if terms.display_quantity is not None and terms.all_or_none:
        return "what is all or none cannot show a part"
    if terms.time_in_force is _GTD and (terms.expires_at_us is None or terms.expires_at_us <= now_us):
        return "good till date needs a time to come"
    if terms.post_only and (terms.type not in _NEEDS_LIMIT or terms.time_in_force in _AT_ONCE):
        return "an order that deals at once or never cannot be post-only"
    return None


def _exits_fault(context: GateContext) -> str | None:
    """Return which exit would close at once, from the price that the order can begin its position at."""
    terms, sign = context.terms, context.terms.side.sign
    enters, leaves = (context.ask, context.bid) if sign > 0 else (context.bid, context.ask)
    if terms.type in _NEEDS_STOP:
        enters = leaves = terms.stop_price
    elif terms.limit_price is not None:
        enters, leaves = _better(terms.limit_price, enters, sign), _better(terms.limit_price, leaves, sign)
    if terms.take_profit is not None and enters is not None and (terms.take_profit - enters) * sign <= 0:
        return "the take profit must be where the position gains"
    if terms.stop_loss is not None and leaves is not None and (terms.stop_loss - leaves) * sign >= 0:
        return "the stop loss must be where the position loses"
    return None


def _exit_fault(context: GateContext) -> str | None:
    """Return why an exit of a position that is open would close it at once."""
    terms, sign = context.terms, context.terms.side.sign
    market = context.ask if sign > 0 else context.bid
    if market is None:
        return None  # P-11 says so.
    if terms.limit_price is not None and (market - terms.limit_price) * sign <= 0:
        return f"the limit price of an exit must be where the position gains, past {market}"
    if terms.stop_price is not None and (market - terms.stop_price) * sign >= 0:
        return f"the stop price of an exit must be where the position loses, past {market}"
    return None


def _better(limit: Decimal, market: Decimal | None, sign: int) -> Decimal:
    """Return the price that is better for whoever begins a position: lower to buy, higher to sell."""
    return limit if market is None or (limit - market) * sign <= 0 else market
