"""What a venue's quote must be before it counts: of a size that markets have, uncrossed, in order, and not a spike.

A quote that fails puts its venue's feed of that symbol in quarantine; it comes back after `good_ticks` good quotes in
a row. While in quarantine a quote is good when it is near the one before it, so a real jump is believed after
`good_ticks` quotes and a lone bad tick never is; one that is back near the last that counted is the first of a row.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise

import msgspec

from piggy.core.market import Level, VenueQuote
from piggy.core.money import ZERO

# Beyond these a number is no market's, and exact arithmetic with it runs out of digits.
PRICE_MAX, SIZE_MAX = Decimal(10) ** 12, Decimal(10) ** 18
BPS = Decimal(10_000)
REFERENCE_AGE_MS_MAX, GOOD_TICKS_MAX = 86_400_000, 1_000
# How far ahead of now a quote may be stamped; further, a clock was set back and its age is not known (INV-20).
AHEAD_MS_MAX = 100


class Fault(StrEnum):
    """Why a quote does not count."""

    NOT_A_PRICE = "not_a_price"
    CROSSED = "crossed"
    UNSORTED = "unsorted"
    SPIKE = "spike"
    RECOVERING = "recovering"


class QuoteFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Per instrument: a side that moves more than `spike_bps_max` between two quotes no more than
    `reference_age_ms_max` apart is a spike; `good_ticks` good quotes end a quarantine.

    The default is wide on purpose: it stops fat fingers and wrong symbols, not fast markets.
    """

    spike_bps_max: Decimal = Decimal(300)
    reference_age_ms_max: int = 60_000
    good_ticks: int = 3


def filter_fault(*, quote_filter: QuoteFilter) -> tuple[str, str] | None:
    """Return (field, what is wrong) of a filter that would believe anything, or nothing; None for a good one."""
    spike, age_ms, ticks = quote_filter.spike_bps_max, quote_filter.reference_age_ms_max, quote_filter.good_ticks
    if not (spike.is_finite() and 0 < spike <= BPS):
        return "spike_bps_max", f"a spike is a move of more than 0 and at most {BPS} basis points"
    if not 1 <= age_ms <= REFERENCE_AGE_MS_MAX:
        return "reference_age_ms_max", f"a quote is compared with one at most 1 to {REFERENCE_AGE_MS_MAX} ms old"
    if not 1 <= ticks <= GOOD_TICKS_MAX:
        return "good_ticks", f"from 1 to {GOOD_TICKS_MAX} good quotes end a quarantine"
    return None


def fault_of(*, quote: VenueQuote) -> Fault | None:
    """Return what is wrong with `quote` by itself; locked (bid equal to ask) is allowed, an empty side too."""
    bids, asks = quote.bids, quote.asks
    try:
        if not (_are_prices(bids) and _are_prices(asks)):
            return Fault.NOT_A_PRICE
    except InvalidOperation:  # NaN does not compare.
        return Fault.NOT_A_PRICE
    if bids and asks and bids[0].price > asks[0].price:
        return Fault.CROSSED
    if not (_descend(bids) and _descend(asks[::-1])):
        return Fault.UNSORTED
    return None


def is_spike(*, quote: VenueQuote, reference: VenueQuote, quote_filter: QuoteFilter) -> bool:
    """Tell whether either side of `quote` is too far from the same side of `reference` to be believed at once."""
    if _is_past(quote, reference, quote_filter):
        return False
    share = quote_filter.spike_bps_max / BPS
    return _jumped(quote.bids, reference.bids, share) or _jumped(quote.asks, reference.asks, share)


def is_back(*, quote: VenueQuote, believed: VenueQuote, quote_filter: QuoteFilter) -> bool:
    """Tell whether `quote` is where the venue's last quote that counted was, unless that is too long ago to tell."""
    return not _is_past(quote, believed, quote_filter) and not is_spike(
        quote=quote, reference=believed, quote_filter=quote_filter
    )


def completed(*, quote: VenueQuote, reference: VenueQuote | None, quote_filter: QuoteFilter) -> VenueQuote:
    """Return what the quote after `quote`, which lacks a side, is judged by: that side is where it last was.

    Otherwise whoever takes a side away for a moment could bring it back at any price.
    """
    if reference is None or _is_past(quote, reference, quote_filter):
        return quote
    return msgspec.structs.replace(quote, bids=quote.bids or reference.bids, asks=quote.asks or reference.asks)


def _is_past(quote: VenueQuote, reference: VenueQuote, quote_filter: QuoteFilter) -> bool:
    return abs(quote.received_at_us - reference.received_at_us) > quote_filter.reference_age_ms_max * 1000


def _jumped(now: tuple[Level, ...], before: tuple[Level, ...], share: Decimal) -> bool:
    if not now or not before:
        return False
    return abs(now[0].price - before[0].price) > before[0].price * share


def _are_prices(levels: tuple[Level, ...]) -> bool:
    return all(ZERO < level.price <= PRICE_MAX and ZERO < level.size <= SIZE_MAX for level in levels)


def _descend(levels: tuple[Level, ...]) -> bool:
    return all(better.price > worse.price for better, worse in pairwise(levels))
