"""Margin: what positions and working orders of an account bind, and what is left.

Everything is in the account's currency: callers bring `lot_value`, the worth of one lot there. One symbol's margin is
net lots at their percent, hedged lots at the hedged ratio, dynamic tiers and news windows on top; an account's is the
sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from piggy.core.accounts import Account, Group
from piggy.core.instruments import Instrument
from piggy.core.leverage_rules import RuleSet, percent_of_leverage
from piggy.core.money import ZERO, minor_unit
from piggy.core.orders import Side
from piggy.core.positions import Position

HUNDRED = Decimal(100)
_BUY = Side.BUY
TIER_BASES = ("lots", "notional")
# Beyond these a setting means nothing, and exact arithmetic runs out of digits.
PERCENT_MAX, TIER_MAX = Decimal(1_000_000), Decimal(10) ** 15


class MarginTier(msgspec.Struct, frozen=True, kw_only=True):
    """A band of dynamic leverage: net amount above `above` pays at least `percent` (progressive, as income tax)."""

    above: Decimal
    percent: Decimal


class NewsWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A high-margin window on a symbol: net volume opened in [from_us, until_us) pays `percent` until it ends."""

    symbol: str
    from_us: int
    until_us: int
    percent: Decimal


class MarginTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How one symbol is margined for one account. Percents are of the notional.

    `hedged_ratio`: share of the lighter side's margin that hedged lots still pay (0 nothing, 1 one leg in full).
    `tiers` count `tier_basis`: "lots", or "notional" in the account's currency. `maintenance_percent` is of the used
    margin.
    """

    percent: Decimal
    maintenance_percent: Decimal = Decimal(50)
    hedged_ratio: Decimal = ZERO
    tiers: tuple[MarginTier, ...] = ()
    tier_basis: str = "notional"


class MarginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a group sets for one symbol, or for every symbol without its own ('*'), on top of the percents in force.

    `hedged_ratio` 2 is both legs in full. `percent` only ever makes it dearer. `maintenance_percent` is of used margin.
    """

    percent: Decimal = ZERO
    maintenance_percent: Decimal = Decimal(50)
    hedged_ratio: Decimal = Decimal(2)
    tiers: tuple[MarginTier, ...] = ()
    tier_basis: str = "notional"
    news: tuple[NewsWindow, ...] = ()


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of one account, summed: lots each way with their margin weights, and working orders as if filled."""

    long_lots: Decimal = ZERO
    long_weight: Decimal = ZERO
    short_lots: Decimal = ZERO
    short_weight: Decimal = ZERO
    buy_working: Decimal = ZERO
    sell_working: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO


class AccountMargin(msgspec.Struct, frozen=True, kw_only=True):
    """An account at one moment, in its currency; `level_percent` is None while nothing is used."""

    balance: Decimal
    credit: Decimal
    floating: Decimal
    equity: Decimal
    used: Decimal
    maintenance: Decimal
    free: Decimal
    level_percent: Decimal | None


def margin_terms(
    *,
    instrument: Instrument,
    account: Account,
    group: Group,
    rules: RuleSet,
    tiers: tuple[MarginTier, ...] = (),
    hedged_ratio: Decimal = ZERO,
) -> MarginTerms:
    """Return the terms: the dearest of the instrument, the group's leverage and the regulator's cap for the client."""
    cap = rules.of(account.category).margin_percent.get(instrument.asset_class, ZERO)
    percent = max(instrument.margin_percent, percent_of_leverage(leverage=group.leverage_max), cap)
    return MarginTerms(percent=percent, tiers=tiers, hedged_ratio=hedged_ratio)


def settings_fault(*, settings: MarginSettings) -> str | None:
    """Return what is wrong with margin settings, None for those that can be used."""
    numbers = {name: getattr(settings, name) for name in ("percent", "maintenance_percent", "hedged_ratio")}
    for at, tier in enumerate(settings.tiers):
        numbers |= {f"tiers[{at}].above": tier.above, f"tiers[{at}].percent": tier.percent}
    numbers |= {f"news[{at}].percent": window.percent for at, window in enumerate(settings.news)}
    for name, number in numbers.items():
        most = TIER_MAX if name.endswith(".above") else PERCENT_MAX
        if not (number.is_finite() and 0 <= number <= most):
            return f"{name}: {number} is not finite, below zero, or above {most}"
    if settings.tier_basis not in TIER_BASES:
        return f"tier_basis: tiers count one of {', '.join(TIER_BASES)}"
    for at, window in enumerate(settings.news):
        if window.from_us >= window.until_us:
            return f"news[{at}].until_us: a news window begins before it ends"
    return None


def news_window(*, windows: Iterable[NewsWindow], symbol: str, at_us: int) -> NewsWindow | None:
    """Return the dearest window that is open on `symbol`, or None."""
    open_ = [window for window in windows if window.symbol == symbol and window.from_us <= at_us < window.until_us]
    return max(open_, key=lambda window: window.percent, default=None)


def new_net_lots(*, net_before: Decimal, net_after: Decimal) -> Decimal:
    """Return by how much a fill made the net position larger: only this pays a news window's percent."""
    if net_before * net_after < 0:
        return abs(net_after)
    return max(ZERO, abs(net_after) - abs(net_before))


def lot_value(*, instrument: Instrument, price: Decimal, rate: Decimal, account_currency: str) -> Decimal:
    """Return what one lot is worth in the account's currency; in its base currency no price is needed."""
    if instrument.base == account_currency:
        return instrument.contract_size
    return instrument.contract_size * price * rate


def holding_of(
    *, positions: Iterable[Position], buy_working: Decimal = ZERO, sell_working: Decimal = ZERO, now_us: int = 0
) -> Holding:
    """Sum the positions of one symbol in one account; a news window that ended no longer counts."""
    long_lots = long_weight = short_lots = short_weight = news_lots = news_percent = ZERO
    for position in positions:
        if position.quantity > 0:
            long_lots += position.quantity
            long_weight += position.rate_weight
        else:
            short_lots -= position.quantity
            short_weight += position.rate_weight
        if position.news_lots and now_us < position.news_until_us:
            news_lots += position.news_lots
            news_percent = max(news_percent, position.news_percent)
    return Holding(
        long_lots=long_lots,
        long_weight=long_weight,
        short_lots=short_lots,
        short_weight=short_weight,
        buy_working=buy_working,
        sell_working=sell_working,
        news_lots=news_lots,
        news_percent=news_percent,
    )


def symbol_margin(*, holding: Holding, terms: MarginTerms, lot_value: Decimal) -> Decimal:
    """Return the margin that one symbol binds, unrounded; working orders count as filled the dearer way (P-17)."""
    held = _as_held(holding, terms, lot_value)
    return _dearest(held, holding, holding.buy_working, holding.sell_working, terms, lot_value)


def required_for(
    *,
    holding: Holding,
    terms: MarginTerms,
    lot_value: Decimal,
    side: Side,
    quantity: Decimal,
    news_percent: Decimal = ZERO,
) -> Decimal:
    """What-if: return by how much an order of `quantity` lots would raise the symbol's margin, never less than nothing.

    The order counts as working beside the others; `news_percent` is that of a window open now (0 without one).
    """
    after, buys, sells = holding, holding.buy_working, holding.sell_working
    held = _as_held(holding, terms, lot_value)
    before = _dearest(held, holding, buys, sells, terms, lot_value)
    if side is _BUY:
        buys += quantity
    else:
        sells += quantity
    if news_percent:
        net = holding.long_lots - holding.short_lots
        lots = new_net_lots(net_before=net, net_after=net + side.sign * quantity)
        after = msgspec.structs.replace(
            holding, news_lots=holding.news_lots + lots, news_percent=max(holding.news_percent, news_percent)
        )
        held = _as_held(after, terms, lot_value)
    return max(ZERO, _dearest(held, after, buys, sells, terms, lot_value) - before)


def account_margin(
    *,
    balance: Decimal,
    floating: Decimal,
    used: Decimal,
    currency: str,
    credit: Decimal = ZERO,
    maintenance_percent: Decimal = Decimal(50),
) -> AccountMargin:
    """Return equity, free margin and level; sums are rounded once, here, at the currency's minor unit."""
    step = minor_unit(currency=currency)
    floating = floating.quantize(step, rounding=ROUND_HALF_EVEN)
    used = used.quantize(step, rounding=ROUND_HALF_EVEN)
    equity = balance + credit + floating
    return AccountMargin(
        balance=balance,
        credit=credit,
        floating=floating,
        equity=equity,
        used=used,
        maintenance=used * maintenance_percent / HUNDRED,
        free=equity - used,
        level_percent=equity * HUNDRED / used if used else None,
    )


def reaches(*, margin: AccountMargin, level_percent: Decimal, inclusive: bool = False) -> bool:
    """Return whether the margin level fell below `level_percent` (at it too, where `inclusive`)."""
    return below(equity=margin.equity, used=margin.used, level_percent=level_percent, inclusive=inclusive)


def below(*, equity: Decimal, used: Decimal, level_percent: Decimal, inclusive: bool = False) -> bool:
    """Return whether the equity is below so many percent of the used margin (at it too, where `inclusive`); undivided.

    What is hedged in full may bind nothing: then the account is below every level once nothing is left of it.
    """
    if not used:
        return equity < 0
    equity, bar = equity * HUNDRED, used * level_percent
    return equity <= bar if inclusive else equity < bar


def _as_held(h: Holding, terms: MarginTerms, value: Decimal) -> Decimal:
    """Return the margin of what is held, with nothing working."""
    if not (h.long_lots or h.short_lots):
        return ZERO
    return _margin(h.long_lots, h.long_weight, h.short_lots, h.short_weight, h, terms, value)


def _dearest(held: Decimal, h: Holding, buys: Decimal, sells: Decimal, terms: MarginTerms, value: Decimal) -> Decimal:
    """Return the margin of what is held, its own being `held`, or of it with all that works one way filled."""
    most, long, long_weight, short, short_weight = held, h.long_lots, h.long_weight, h.short_lots, h.short_weight
    if buys:
        bought = long_weight + buys * terms.percent
        most = max(most, _margin(long + buys, bought, short, short_weight, h, terms, value))
    if sells:
        sold = short_weight + sells * terms.percent
        most = max(most, _margin(long, long_weight, short + sells, sold, h, terms, value))
    return most


def _margin(
    long_lots: Decimal,
    long_weight: Decimal,
    short_lots: Decimal,
    short_weight: Decimal,
    holding: Holding,
    terms: MarginTerms,
    value: Decimal,
) -> Decimal:
    if long_lots >= short_lots:
        heavy, heavy_weight, light, light_weight = long_lots, long_weight, short_lots, short_weight
    else:
        heavy, heavy_weight, light, light_weight = short_lots, short_weight, long_lots, long_weight
    net = heavy - light
    weight = heavy_weight if not light else heavy_weight * net / heavy
    own = weight
    if light and terms.hedged_ratio:
        weight += terms.hedged_ratio * max(light_weight, heavy_weight * light / heavy)
    if net and (terms.tiers or holding.news_lots):
        # What was opened under other settings pays its own percent: bands and windows ask for the rest of theirs.
        percent = terms.percent if own == net * terms.percent else own / net
        weight += _tier_surcharge(net, percent, terms, value)
        weight += min(holding.news_lots, net) * max(ZERO, holding.news_percent - percent)
    return weight * value / HUNDRED


def _tier_surcharge(net: Decimal, percent: Decimal, terms: MarginTerms, value: Decimal) -> Decimal:
    """Return the extra weight (lots times percent) of net lots, at `percent`, that reach into dearer bands."""
    per_lot = value if terms.tier_basis == "notional" else Decimal(1)
    if not per_lot:
        return ZERO  # What is worth nothing, as an option settled at nothing, reaches into no band.
    extra = ZERO
    charged = percent
    for tier in sorted(terms.tiers, key=lambda tier: tier.above):
        over = net - tier.above / per_lot
        if over > 0 and tier.percent > charged:
            extra += over * (tier.percent - charged)
            charged = tier.percent
    return extra
