"""The rows of the dealer's page, made from a desk as it is now; decimals become text when a frame is encoded.

Money of a symbol is in its quote currency (`currency` says which); the summary adds up in USD at the live mid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from piggy.core.desk import Desk
from piggy.core.events import told_checks, told_decision
from piggy.core.gate import NUMBER_MAX
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel, VenueStatus
from piggy.core.money import ZERO, plain, round_money
from piggy.core.state import Child, Order

REPORTING_CURRENCY = "USD"
STALE_STEP_MS = 1_000
MONEY_STEP = Decimal("0.01")
PRICE_DIGITS_MORE = 1

Row = dict[str, Any]


@dataclass(slots=True)
class VenueWatch:
    """What the engine saw of one venue's feed; `quotes` counts since the last second's mark."""

    status: VenueStatus | None = None
    quotes: int = 0
    quotes_per_s: int = 0
    quoted_at_us: int = 0


@dataclass(slots=True)
class Costs:
    """Cost sums of one symbol's positions (signed lots times price), so that a tick costs the same for any number."""

    long: Decimal = ZERO
    short: Decimal = ZERO
    fresh: bool = field(default=False)


def exposure_row(*, desk: Desk, symbol: str, costs: Costs, now_us: int) -> Row:
    """Return one symbol's exposure; `floating` is the clients' open profit, None while a side has no live price."""
    exposure, instrument = desk.state.exposure[symbol], desk.state.instruments[symbol]
    digits = instrument.lot_digits
    best = desk.market.best(symbol=symbol, now_us=now_us)
    net = exposure.client_net
    mark = floating = age_ms = None
    if best is not None and best.bid is not None and best.ask is not None:
        mark = (best.bid.price + best.ask.price) / 2
        longs = exposure.client_long * best.bid.price - costs.long
        shorts = exposure.client_short * best.ask.price + costs.short
        floating = round_money(amount=(longs - shorts) * instrument.contract_size, currency=instrument.quote)
        age_ms = _age_ms(min(best.bid.received_at_us, best.ask.received_at_us), now_us)
    step = instrument.point.scaleb(-PRICE_DIGITS_MORE)
    return {
        "symbol": symbol,
        "client_long": lots(exposure.client_long, digits),
        "client_short": lots(exposure.client_short, digits),
        "client_net": lots(net, digits),
        "a_net": lots(exposure.a_net, digits),
        "b_net": lots(exposure.b_net, digits),
        "venue_net": lots(exposure.venue_net, digits),
        "uncovered": lots(exposure.uncovered, digits),
        **_limit_use(desk, symbol, exposure.uncovered),
        "vwap": ((costs.long + costs.short) / net).quantize(step) if net else None,
        "mark": None if mark is None else mark.quantize(step),
        "floating": floating,
        "realised": round_money(amount=exposure.realised, currency=instrument.quote),
        "notional": None if mark is None else (net * instrument.contract_size * mark).quantize(MONEY_STEP),
        "currency": instrument.quote,
        "base": instrument.base,
        "contract_size": instrument.contract_size,
        "cost": costs.long + costs.short,
        "positions": exposure.positions,
        "age_ms": age_ms,
    }


def _limit_use(desk: Desk, symbol: str, uncovered: Decimal) -> Row:
    """Return how much of the hedging policy's threshold is used, None where no policy bounds the symbol."""
    policy = desk.state.hedge_policies.get(symbol)
    if policy is None or not policy.threshold:
        return {"limit": None, "limit_percent": None}
    return {"limit": policy.threshold, "limit_percent": round(100 * abs(uncovered) / policy.threshold)}


def lots(quantity: Decimal, digits: int) -> Decimal:
    """Return `quantity` with the symbol's lot digits, or with more where it has more: nothing is rounded away."""
    if not quantity.is_finite() or abs(quantity) > NUMBER_MAX:
        return quantity
    shown = quantity.quantize(Decimal(1).scaleb(-digits))
    return shown if shown == quantity else Decimal(plain(quantity))


def costs_of(*, desk: Desk, symbol: str) -> Costs:
    """Return the cost sums of everybody's positions in `symbol`."""
    costs = Costs(fresh=True)
    state = desk.state
    held = (state.positions[key] for who in state.holders.get(symbol, ()) for key in state.positions_of.get(who, ()))
    for position in held:
        if position.symbol != symbol:
            continue
        if position.quantity > 0:
            costs.long += position.cost
        else:
            costs.short += position.cost
    return costs


def quotes_row(*, desk: Desk, symbol: str, venues: Iterable[str], now_us: int) -> Row:
    """Return the consolidated quote of one symbol and every venue's own beside it."""
    best = desk.market.best(symbol=symbol, now_us=now_us)
    bid, ask = (best.bid, best.ask) if best else (None, None)
    instrument = desk.state.instruments[symbol]
    live = set(desk.market.venues_of(symbol=symbol, now_us=now_us))
    ages = [_age_ms(level.received_at_us, now_us) for level in (bid, ask) if level]
    spread = None
    if bid and ask:
        spread = ((ask.price - bid.price) / instrument.point).normalize()
    return {
        "symbol": symbol,
        **_side("bid", bid, instrument.lot_digits),
        **_side("ask", ask, instrument.lot_digits),
        "spread_points": None if spread is None else f"{spread:f}",
        "age_ms": max(ages, default=None),
        "venues": [
            row for venue in sorted(venues) if (row := _venue_quote(desk, instrument, venue, venue in live, now_us))
        ],
    }


def venue_row(*, desk: Desk, venue: str, watch: VenueWatch, in_doubt: int, now_us: int) -> Row:
    """Return one venue's health."""
    record, terms = desk.state.venue_records.get(venue), desk.state.venues.get(venue)
    orders, fills, rejects = (record.orders, record.fills, record.rejects) if record else (0, 0, 0)
    return {
        "venue": venue,
        "enabled": terms is not None and terms.enabled,
        "state": watch.status.state if watch.status else "unknown",
        "text": watch.status.text if watch.status else "",
        "quote_age_ms": _age_ms(watch.quoted_at_us, now_us) if watch.quoted_at_us else None,
        "quotes_per_s": watch.quotes_per_s,
        "orders": orders,
        "fills": fills,
        "rejects": rejects,
        "reject_percent": f"{100 * rejects / orders:.1f}" if orders else "0.0",
        "in_doubt": in_doubt,
        "unread": watch.status.unread if watch.status else 0,
    }


def order_row(*, order: Order, instrument: Instrument | None) -> Row:
    """Return one order as the blotter shows it; `reason` is why it was denied, or where it was routed and why."""
    terms, digits = order.terms, instrument.lot_digits if instrument else 0
    routed = order.routing.text if order.routing else ""
    reason = "; ".join(check.text or check.code for check in order.reasons) or order.text or routed
    return {
        "order_id": order.order_id,
        "at": order.accepted_at_us,
        "account_id": terms.account_id,
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "quantity": lots(order.quantity, digits),
        "filled": lots(order.filled, digits),
        "leaves": lots(order.leaves, digits),
        "price": terms.limit_price or terms.stop_price,
        "guaranteed": terms.guaranteed_stop,
        "average_price": _price(order.average_price, instrument) if order.filled else None,
        "state": order.state,
        "group": order.group,
        "mode": order.routing.mode if order.routing else "",
        "reason": reason,
        "source": order.source,
        "routing": told_decision(decision=order.routing) if order.routing else None,
        "checks": told_checks(checks=order.reasons),
    }


def summary_row(*, desk: Desk, exposures: Iterable[Row], orders_per_s: int, now_us: int) -> Row:
    """Return the desk's totals in the reporting currency."""
    floating = realised = ZERO
    for row in exposures:
        rate = _rate(desk, row["currency"], now_us)
        if rate is not None:
            floating += (row["floating"] or ZERO) * rate
            realised += row["realised"] * rate
    return {
        "floating": floating.quantize(MONEY_STEP),
        "realised": realised.quantize(MONEY_STEP),
        "currency": REPORTING_CURRENCY,
        "orders_per_s": orders_per_s,
        "margin_calls": len(desk.state.margin_called),
        "seq": desk.state.seq,
    }


def doubts(*, children: Iterable[Child]) -> dict[str, int]:
    """Return how many open child orders of each venue are in doubt."""
    counts: dict[str, int] = {}
    for child in children:
        if child.in_doubt:
            counts[child.created.venue] = counts.get(child.created.venue, 0) + 1
    return counts


def _rate(desk: Desk, currency: str, now_us: int) -> Decimal | None:
    if currency == REPORTING_CURRENCY:
        return Decimal(1)
    direct = desk.market.mid(symbol=f"{currency}{REPORTING_CURRENCY}", now_us=now_us)
    if direct:
        return direct
    inverse = desk.market.mid(symbol=f"{REPORTING_CURRENCY}{currency}", now_us=now_us)
    return 1 / inverse if inverse else None


def _price(average: Decimal, instrument: Instrument | None) -> Decimal:
    """Return an average at the symbol's digits, one more where legs filled at different prices."""
    if instrument is None:
        return average
    whole = average.quantize(instrument.point)
    return whole if whole == average else average.quantize(instrument.point.scaleb(-PRICE_DIGITS_MORE))


def _side(name: str, level: AttributedLevel | None, lot_digits: int) -> Row:
    return {
        name: level.price if level else None,
        f"{name}_size": lots(level.size, lot_digits) if level else None,
        f"{name}_venue": level.venue if level else None,
    }


def _venue_quote(desk: Desk, instrument: Instrument, venue: str, live: bool, now_us: int) -> Row | None:
    symbol, digits = instrument.symbol, instrument.lot_digits
    quote = desk.market.quote_of(venue=venue, symbol=symbol)
    fault = desk.market.fault_of(venue=venue, symbol=symbol)
    if quote is None and fault is None:
        return None
    bids, asks = (quote.bids, quote.asks) if quote else ((), ())
    return {
        "venue": venue,
        "bid": bids[0].price if bids else None,
        "ask": asks[0].price if asks else None,
        "bid_size": lots(bids[0].size, digits) if bids else None,
        "ask_size": lots(asks[0].size, digits) if asks else None,
        "age_ms": _age_ms(quote.received_at_us, now_us) if quote else None,
        "state": str(fault) if fault else "live" if live else "stale",
    }


def _age_ms(at_us: int, now_us: int) -> int:
    """Return an age in ms; past a second in whole seconds, so that a quiet row does not change five times a second."""
    age_ms = max(0, (now_us - at_us) // 1_000)
    return 0 if age_ms < STALE_STEP_MS else age_ms - age_ms % STALE_STEP_MS
