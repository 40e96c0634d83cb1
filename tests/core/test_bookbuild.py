"""From depth to one price a side, and the spread that a profile allows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core.bookbuild import BuildMode, BuiltQuote, SpreadAction, SpreadProfile, built, with_spread
from piggy.core.market import AttributedLevel

TICK = Decimal("0.0001")


def side(*rows: tuple[str, int]) -> tuple[AttributedLevel, ...]:
    return tuple(
        AttributedLevel(price=Decimal(price), size=Decimal(size), venue="LP1", received_at_us=0) for price, size in rows
    )


BIDS = side(("1.1000", 1), ("1.0998", 3))
ASKS = side(("1.1003", 1), ("1.1004", 3))


@pytest.mark.parametrize(
    ("mode", "size", "bid", "ask"),
    [
        (BuildMode.BEST, 9, "1.1000", "1.1003"),
        (BuildMode.MIDPOINT, 9, "1.1001", "1.1002"),
        (BuildMode.VWAP, 2, "1.0999", "1.1004"),
        (BuildMode.VWAP, 1, "1.1000", "1.1003"),
        (BuildMode.CUMULATIVE, 1, "1.1000", "1.1003"),
        (BuildMode.CUMULATIVE, 2, "1.0998", "1.1004"),
        (BuildMode.CUMULATIVE, 5, None, None),
        (BuildMode.VWAP, 5, None, None),
    ],
)
def test_each_mode_builds_its_price(mode: BuildMode, size: int, bid: str | None, ask: str | None) -> None:
    quote = built(bids=BIDS, asks=ASKS, mode=mode, size=Decimal(size), tick=TICK)
    assert quote == (BuiltQuote(bid=Decimal(bid), ask=Decimal(ask)) if bid and ask else None)


def test_half_a_book_builds_nothing() -> None:
    for mode in BuildMode:
        assert built(bids=BIDS, asks=(), mode=mode, size=Decimal(1), tick=TICK) is None
        assert built(bids=(), asks=ASKS, mode=mode, size=Decimal(1), tick=TICK) is None
    assert built(bids=BIDS, asks=side(("1.2", 1)), mode=BuildMode.VWAP, size=Decimal(2), tick=TICK) is None


@pytest.mark.parametrize(
    ("profile", "bid", "ask"),
    [
        (SpreadProfile(), "1.1000", "1.1003"),
        (SpreadProfile(min_points=3, max_points=3), "1.1000", "1.1003"),
        (SpreadProfile(min_points=5), "1.0999", "1.1004"),
        (SpreadProfile(min_points=4), "1.0999", "1.1003"),
        (SpreadProfile(target_points=1), "1.1001", "1.1002"),
        (SpreadProfile(max_points=1), "1.1000", "1.1003"),
        (SpreadProfile(max_points=1, action=SpreadAction.ABSORB), "1.1001", "1.1002"),
        (SpreadProfile(max_points=1, action=SpreadAction.REJECT), None, None),
    ],
)
def test_a_profile_widens_narrows_passes_or_rejects(profile: SpreadProfile, bid: str | None, ask: str | None) -> None:
    raw = BuiltQuote(bid=Decimal("1.1000"), ask=Decimal("1.1003"))
    shown = with_spread(quote=raw, profile=profile, tick=TICK)
    assert shown == (BuiltQuote(bid=Decimal(bid), ask=Decimal(ask)) if bid and ask else None)


def test_a_book_crossed_between_venues_is_uncrossed_by_a_minimum() -> None:
    raw = BuiltQuote(bid=Decimal("1.1003"), ask=Decimal("1.1001"))
    shown = with_spread(quote=raw, profile=SpreadProfile(min_points=2), tick=TICK)
    assert shown == BuiltQuote(bid=Decimal("1.1001"), ask=Decimal("1.1003"))
