"""Pricing: from a raw venue price to the price a client deals at, and back.

A markup is worked out once per order, from the prices seen then, and is the same amount whatever the venue fills at.
So price improvement at the venue reaches the client in full, and slippage is symmetric by construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from piggy.core.accounts import Group
from piggy.core.bookbuild import BuiltQuote, SpreadProfile, with_spread
from piggy.core.commissions import Commission
from piggy.core.conversion import Touch
from piggy.core.instruments import Instrument, points_worth
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.profiles import ANY_SYMBOL, MarkupBand, MarkupUnit, PriceProfile, Profiles, band_for

BPS = Decimal(10_000)
_BUY = Side.BUY
Found = tuple[PriceProfile, ...]


def markup(
    *,
    group: Group,
    profiles: Found = (),
    instrument: Instrument,
    side: Side,
    lots: Decimal = ZERO,
    touch: Touch | None = None,
    at_us: int = 0,
    firm: bool = False,
    seen: Touch | None = None,
) -> Decimal | None:
    """Return what an order of `lots` pays on `side` over the raw price, in the quote currency per unit.

    None where a profile shows no price at this spread, unless a price is owed (`firm`). `profiles` come most specific
    first. Without a `touch` a markup in basis points has nothing to be a part of and is nothing. Band and spread are
    put on what is `seen`, the touch itself unless a build says otherwise.
    """
    if not profiles:
        return group_markup(group, instrument, side)
    band, spread = _in_force(group=group, profiles=profiles, lots=lots, at_us=at_us)
    if touch is None:
        return _amount(band=band, side=side, price=ZERO, instrument=instrument)
    bid, ask, _ = seen or touch
    plain = BuiltQuote(
        bid=bid - _amount(band=band, side=Side.SELL, price=bid, instrument=instrument),
        ask=ask + _amount(band=band, side=Side.BUY, price=ask, instrument=instrument),
    )
    shaped = with_spread(quote=plain, profile=spread, tick=instrument.point) if spread else plain
    shown = shaped or plain
    # A spread around a low price, or a markup beyond it, leaves no bid that anybody could deal at.
    if not firm and (shaped is None or shown.bid <= 0):
        return None
    return shown.ask - touch.ask if side is _BUY else touch.bid - shown.bid


def group_markup(group: Group, instrument: Instrument, side: Side) -> Decimal:
    """Return what a group pays on `side` over the raw price where no profile says otherwise."""
    points = group.ask_markup_points if side is _BUY else group.bid_markup_points
    return points_worth(points, instrument.price_digits)


def nearest_price(
    *, touch: Touch, instrument: Instrument, side: Side, groups: Iterable[Group], profiles: Profiles
) -> Decimal:
    """Return a price that nobody deals better than on `side` while the street is at `touch`, whatever the markup.

    Markups may be below nothing, and a spread may be drawn in around the middle of what they leave.
    """
    price, sign = (touch.ask if side is _BUY else touch.bid), side.sign
    if not profiles:
        points = min(each.ask_markup_points if side is _BUY else each.bid_markup_points for each in groups)
        return price if points >= 0 else price + sign * points * instrument.point
    mine = [profile for (_, symbol), profile in profiles.items() if symbol in (instrument.symbol, ANY_SYMBOL)]
    parts = [(profile.bands, profile.spread) for profile in mine]
    parts += [(part.bands, part.spread) for profile in mine for part in profile.schedules]
    bands = [MarkupBand(bid=Decimal(each.bid_markup_points), ask=Decimal(each.ask_markup_points)) for each in groups]
    bands += [band for some, _ in parts for band in some]
    asks = [_amount(band=band, side=_BUY, price=touch.ask, instrument=instrument) for band in bands]
    bids = [_amount(band=band, side=Side.SELL, price=touch.bid, instrument=instrument) for band in bands]
    owed, contra = (asks, bids) if side is _BUY else (bids, asks)
    plain = price + sign * min(ZERO, *owed)
    if not any(spread for _, spread in parts):
        return plain
    # The bid of a spread around a middle lies on the point below it.
    leaning = min((own - other) / 2 for own, other in zip(owed, contra, strict=True))
    middle = (touch.bid + touch.ask) / 2 + sign * (leaning - instrument.point)
    return min(plain, middle) if side is _BUY else max(plain, middle)


def client_price(*, raw: Decimal, markup: Decimal, side: Side) -> Decimal:
    """Return the price a client deals at when the market side is `raw`."""
    return raw + side.sign * markup


def raw_limit(*, limit: Decimal, markup: Decimal, side: Side) -> Decimal:
    """Return the worst raw price that still honours a client's `limit` after markup."""
    return limit - side.sign * markup


def worst_price(*, price: Decimal, bps: Decimal, instrument: Instrument, side: Side) -> Decimal:
    """Return the price `bps` worse than `price` for whoever takes `side`, on the tick."""
    worst = price * (1 + side.sign * bps / BPS)
    rounding = ROUND_FLOOR if side is _BUY else ROUND_CEILING
    return (worst / instrument.tick_size).to_integral_value(rounding=rounding) * instrument.tick_size


def at_least_as_good(*, price: Decimal, limit: Decimal, side: Side) -> bool:
    """Return whether dealing at `price` is no worse than `limit` for whoever takes `side`."""
    return price <= limit if side is _BUY else price >= limit


def commission_plan(*, group: Group, profiles: Found) -> Commission:
    """Return the commission that applies: the most specific profile's that has one, else the group's per lot."""
    for profile in profiles:
        if profile.commission is not None:
            return profile.commission
    return Commission(rate=group.commission_per_lot)


def _in_force(*, group: Group, profiles: Found, lots: Decimal, at_us: int) -> tuple[MarkupBand, SpreadProfile | None]:
    """Return the band and the spread limits that apply, each from the most specific profile that sets it."""
    band: MarkupBand | None = None
    spread: SpreadProfile | None = None
    for profile in profiles:
        bands, limits = profile.at(at_us=at_us)
        band = band or band_for(bands=bands, lots=lots)
        spread = spread or limits
    if band is None:
        band = MarkupBand(bid=Decimal(group.bid_markup_points), ask=Decimal(group.ask_markup_points))
    return band, spread


def _amount(*, band: MarkupBand, side: Side, price: Decimal, instrument: Instrument) -> Decimal:
    number = band.ask if side is _BUY else band.bid
    if band.unit is MarkupUnit.POINTS:
        return number * instrument.point
    points = (price * number / BPS / instrument.point).to_integral_value(rounding=ROUND_CEILING)
    return points * instrument.point
