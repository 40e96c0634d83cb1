"""The rows of the dealer's page, made from a desk as it is now; decimals become text when a frame is encoded.

Money of a symbol is in its quote currency (`currency` says which); the summary adds up in USD at the live mid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from piggy.core.desk import Desk
from piggy.core.market import AttributedLevel, VenueStatus
from piggy.core.money import ZERO, round_money
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
        "client_long": exposure.client_long,
        "client_short": exposure.client_short,
        "client_net": net,
        "a_net": exposure.a_net,
        "b_net": exposure.b_net,
        "venue_net": exposure.venue_net,
        "uncovered": exposure.uncovered,
        "vwap": ((costs.long + costs.short) / net).quantize(step) if net else None,
        "mark": mark,
        "floating": floating,
        "realised": round_money(amount=exposure.realised, currency=instrument.quote),
        "notional": None if mark is None else (net * instrument.contract_size * mark).quantize(MONEY_STEP),
        "currency": instrument.quote,
        "positions": exposure.positions,
        "age_ms": age_ms,
    }


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
    live = set(desk.market.venues_of(symbol=symbol, now_us=now_us))
    ages = [_age_ms(level.received_at_us, now_us) for level in (bid, ask) if level]
    spread = None
    if bid and ask:
        spread = ((ask.price - bid.price) / desk.state.instruments[symbol].point).normalize()
    return {
        "symbol": symbol,
        **_side("bid", bid),
        **_side("ask", ask),
        "spread_points": None if spread is None else f"{spread:f}",
        "age_ms": max(ages, default=None),
        "venues": [
            row for venue in sorted(venues) if (row := _venue_quote(desk, symbol, venue, venue in live, now_us))
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
    }


def order_row(*, order: Order) -> Row:
    """Return one order as the blotter shows it; `reason` is why it was denied, or where it was routed and why."""
    terms = order.terms
    routed = order.routing.text if order.routing else ""
    reason = "; ".join(check.text or check.code for check in order.reasons) or order.text or routed
    return {
        "order_id": order.order_id,
        "at": order.accepted_at_us,
        "account_id": terms.account_id,
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "quantity": order.quantity,
        "filled": order.filled,
        "leaves": order.leaves,
        "price": terms.limit_price or terms.stop_price,
        "average_price": order.average_price if order.filled else None,
        "state": order.state,
        "group": order.group,
        "mode": order.routing.mode if order.routing else "",
        "reason": reason,
        "source": order.source,
        "routing": order.routing,
        "checks": order.reasons,
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


def _side(name: str, level: AttributedLevel | None) -> Row:
    return {
        name: level.price if level else None,
        f"{name}_size": level.size if level else None,
        f"{name}_venue": level.venue if level else None,
    }


def _venue_quote(desk: Desk, symbol: str, venue: str, live: bool, now_us: int) -> Row | None:
    quote = desk.market.quote_of(venue=venue, symbol=symbol)
    fault = desk.market.fault_of(venue=venue, symbol=symbol)
    if quote is None and fault is None:
        return None
    bids, asks = (quote.bids, quote.asks) if quote else ((), ())
    return {
        "venue": venue,
        "bid": bids[0].price if bids else None,
        "ask": asks[0].price if asks else None,
        "bid_size": bids[0].size if bids else None,
        "ask_size": asks[0].size if asks else None,
        "age_ms": _age_ms(quote.received_at_us, now_us) if quote else None,
        "state": str(fault) if fault else "live" if live else "stale",
    }


def _age_ms(at_us: int, now_us: int) -> int:
    """Return an age in ms; past a second in whole seconds, so that a quiet row does not change five times a second."""
    age_ms = max(0, (now_us - at_us) // 1_000)
    return 0 if age_ms < STALE_STEP_MS else age_ms - age_ms % STALE_STEP_MS
