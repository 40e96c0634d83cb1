"""Pricing: from a raw venue price to the price a client deals at, and back.

The markup is added to the side the client takes: it raises what he pays and lowers what he gets, by the same rule in
both directions, so price improvement at the venue reaches him in full and slippage is symmetric by construction.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from piggy.core.accounts import Group
from piggy.core.instruments import Instrument
from piggy.core.orders import Side


def markup(*, group: Group, instrument: Instrument, side: Side) -> Decimal:
    """Return what `group` pays on `side` over the raw price, in the quote currency per unit."""
    points = group.ask_markup_points if side is Side.BUY else group.bid_markup_points
    return points * instrument.point


def client_price(*, raw: Decimal, group: Group, instrument: Instrument, side: Side) -> Decimal:
    """Return the price a client of `group` deals at when the market side is `raw`."""
    return raw + side.sign * markup(group=group, instrument=instrument, side=side)


def raw_limit(*, limit: Decimal, group: Group, instrument: Instrument, side: Side) -> Decimal:
    """Return the worst raw price that still honours a client's `limit` after markup."""
    return limit - side.sign * markup(group=group, instrument=instrument, side=side)


def protected_limit(*, price: Decimal, group: Group, instrument: Instrument, side: Side) -> Decimal:
    """Return the worst raw price for a market order that saw `price` (P-10), on the tick."""
    worst = price * (1 + side.sign * group.slippage_bps_max / Decimal(10_000))
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (worst / instrument.tick_size).to_integral_value(rounding=rounding) * instrument.tick_size


def at_least_as_good(*, price: Decimal, limit: Decimal, side: Side) -> bool:
    """Return whether dealing at `price` is no worse than `limit` for whoever takes `side`."""
    return price <= limit if side is Side.BUY else price >= limit


def commission(*, group: Group, lots: Decimal) -> Decimal:
    """Return the commission on a fill of `lots`, in the account's currency, unrounded."""
    return group.commission_per_lot * lots
