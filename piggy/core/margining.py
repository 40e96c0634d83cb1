"""Margining: what an account's holding of one symbol binds on this desk. The rules are margin.py's.

Margin stands at the open prices, as the percents do: a change of settings, group or category counts from the next fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, PositionMode
from piggy.core.funds import HOUSE_RULES, margin_percent_min, settings_of
from piggy.core.instruments import Instrument
from piggy.core.margin import (
    MarginTerms,
    NewsWindow,
    holding_of,
    lot_value,
    margin_terms,
    new_net_lots,
    news_window,
    required_for,
    symbol_margin,
)
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side
from piggy.core.positions import COST_STEP, Life, Position, netted_id
from piggy.core.state import State

_NETTING = PositionMode.NETTING


class News(msgspec.Struct, frozen=True, gc=False):
    """What a fill owes to a news window: lots of new net volume, their percent, until when (0 lots: nothing)."""

    lots: Decimal = ZERO
    percent: Decimal = ZERO
    until_us: int = 0


def terms_of(*, state: State, account: Account, instrument: Instrument) -> MarginTerms:
    """Return how a symbol is margined for an account now; netting accounts hold nothing hedged."""
    settings = settings_of(state=state, group=account.group, symbol=instrument.symbol)
    base = margin_terms(instrument=instrument, account=account, group=state.groups[account.group], rules=HOUSE_RULES)
    hedging = account.position_mode is not _NETTING
    return MarginTerms(
        percent=max(base.percent, settings.percent),
        maintenance_percent=settings.maintenance_percent,
        hedged_ratio=settings.hedged_ratio if hedging else ZERO,
        tiers=settings.tiers,
        tier_basis=settings.tier_basis,
    )


class MarginTermsKept:
    """Margin terms of accounts alike in a symbol, worked out once for each state of the configuration."""

    def __init__(self) -> None:
        self._version = -1
        self._held: dict[tuple[str, str], list[tuple[Account, MarginTerms, Decimal]]] = {}

    def of(self, *, state: State, account: Account, instrument: Instrument) -> tuple[MarginTerms, Decimal]:
        """Return what `terms_of` says of the account, and the least percent that its category may be charged."""
        if self._version != state.config_version:
            self._held.clear()
            self._version = state.config_version
        key = (account.group, instrument.symbol)
        alike = self._held.get(key)
        if alike is None:
            alike = self._held[key] = []
        for other, terms, least in alike:
            if other.category is account.category and other.position_mode is account.position_mode:
                return terms, least
        terms = terms_of(state=state, account=account, instrument=instrument)
        least = margin_percent_min(instrument=instrument, account=account)
        alike.append((account, terms, least))
        return terms, least


def window_of(*, state: State, group: str, symbol: str, now_us: int) -> NewsWindow | None:
    """Return the news window that taxes new net volume of a group in a symbol now."""
    windows = settings_of(state=state, group=group, symbol=symbol).news
    return news_window(windows=windows, symbol=symbol, at_us=now_us) if windows else None


def news_of(*, window: NewsWindow, net_before: Decimal, side: Side, quantity: Decimal) -> News:
    """Return what a fill owes to the window."""
    lots = new_net_lots(net_before=net_before, net_after=net_before + side.sign * quantity)
    return News(lots, window.percent, window.until_us) if lots else News()


def positions_in(*, state: State, account_id: str, symbol: str) -> list[Position]:
    """Return the account's positions in the symbol."""
    if state.accounts[account_id].position_mode is _NETTING:
        only = state.positions.get(netted_id(account_id=account_id, symbol=symbol))
        return [only] if only else []
    held = (state.positions[position_id] for position_id in state.positions_of.get(account_id, ()))
    return [position for position in held if position.symbol == symbol]


def opposite_lots(*, state: State, terms: OrderTerms) -> Decimal:
    """Return the lots that a hedging account's working orders of the other side may open beside those of `terms`."""
    open_ = (state.orders[order_id] for order_id in state.open_orders.get(terms.account_id, ()))
    opens = (order for order in open_ if not order.terms.reduce_only and order.terms.position_id is None)
    mine = (order for order in opens if order.terms.symbol == terms.symbol and order.terms.side is not terms.side)
    return sum((order.leaves for order in mine), ZERO)


def names_its_own(*, state: State, terms: OrderTerms) -> bool:
    """Return whether the position that an order names, if any, is one of its account's in its symbol.

    A fill goes to the position that is named, so that another's would be closed, or moved by another symbol's prices.
    """
    named, account = terms.position_id, state.accounts[terms.account_id]
    if named is None or account.position_mode is _NETTING:
        return named in (None, netted_id(account_id=terms.account_id, symbol=terms.symbol))
    position = state.positions.get(named)
    return position is not None and (position.account_id, position.symbol) == (terms.account_id, terms.symbol)


def bind_anew(*, state: State, account_id: str, symbol: str, price: Decimal, now_us: int) -> None:
    """Have working orders bind what they would with what is held now, never less than they do (P-17).

    What would have closed a position opens one once that is gone. An order without a price is valued at `price`; one
    that names its position stays as it is, and options bind by their stress.
    """
    open_ = (state.orders[order_id] for order_id in sorted(state.open_orders.get(account_id, ())))
    orders = [
        order
        for order in open_
        if order.terms.symbol == symbol and not order.terms.reduce_only and order.terms.position_id is None
    ]
    account, instrument = state.accounts[account_id], state.instruments[symbol]
    if not orders or (instrument.option and instrument.option.underlying in state.option_models):
        return
    terms = terms_of(state=state, account=account, instrument=instrument)
    held = holding_of(positions=positions_in(state=state, account_id=account_id, symbol=symbol), now_us=now_us)
    rate = state.rates[(instrument.quote, account.currency)]
    for side in Side:
        # What one lot of each is worth at the price it would deal at.
        worth = {
            order.order_id: lot_value(
                instrument=instrument,
                price=order.terms.limit_price or order.terms.stop_price or price,
                rate=rate,
                account_currency=account.currency,
            )
            for order in orders
            if order.terms.side is side
        }
        mine = [order for order in orders if order.order_id in worth]
        lots = sum((order.leaves for order in mine), ZERO)
        if not lots:
            continue
        mean = sum((order.leaves * worth[order.order_id] for order in mine), ZERO) / lots
        if not mean:
            continue  # An option that expired worthless: nothing binds nothing.
        margin = required_for(holding=held, terms=terms, lot_value=mean, side=side, quantity=lots)
        for order in mine:
            each = (margin / lots * worth[order.order_id] / mean).quantize(COST_STEP)
            lacks = max(ZERO, each - order.margin_per_lot)
            order.margin_per_lot += lacks
            state.reserved[account_id] += lacks * order.leaves


def margin_of(
    *,
    positions: Sequence[Position],
    terms: MarginTerms,
    instrument: Instrument,
    account: Account,
    rate: Decimal,
    now_us: int,
) -> Decimal:
    """Return the margin of all the positions an account has in one symbol, in its currency, unrounded."""
    if not positions:
        return ZERO
    value = open_lot_value(positions=positions, instrument=instrument, account=account, rate=rate)
    return symbol_margin(holding=holding_of(positions=positions, now_us=now_us), terms=terms, lot_value=value)


def margin_now(*, state: State, account_id: str, symbol: str, now_us: int) -> Decimal:
    """Return what an account's holding of a symbol binds at its last fill's rate, once news windows are over."""
    account, instrument = state.accounts[account_id], state.instruments[symbol]
    held = positions_in(state=state, account_id=account_id, symbol=symbol)
    rate = latest_rate(lives=(state.lives.get(position.position_id) for position in held))
    return margin_of(
        positions=held,
        terms=terms_of(state=state, account=account, instrument=instrument),
        instrument=instrument,
        account=account,
        rate=rate or state.rates[(instrument.quote, account.currency)],
        now_us=now_us,
    ).quantize(COST_STEP)


def latest_rate(*, lives: Iterable[Life | None]) -> Decimal | None:
    """Return the rate of the latest fill that stands in these lives, as if what was taken back never was."""
    fills = (fill for life in lives if life for fill in life.fills)
    latest = max(fills, key=lambda fill: fill.seq, default=None)
    return latest.rate if latest else None


def open_lot_value(
    *, positions: Sequence[Position], instrument: Instrument, account: Account, rate: Decimal
) -> Decimal:
    """Return what one lot of these positions is worth in the account's currency at the price they were opened at."""
    cost = lots = ZERO
    for position in positions:
        cost += abs(position.cost)
        lots += abs(position.quantity)
    price = cost / lots
    return lot_value(instrument=instrument, price=price, rate=rate, account_currency=account.currency)
