"""From depth to one price a side, and the spread that a profile allows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.bookbuild import (
    SIZE_LOTS_MAX,
    BuildMode,
    BuiltQuote,
    PriceBuild,
    SpreadAction,
    SpreadProfile,
    ThinBook,
    build_fault,
    built,
    built_side,
    spread_fault,
    with_spread,
)
from piggy.core.market import AttributedLevel
from piggy.core.profiles import PriceProfile, profile_fault

TICK = Decimal("0.0001")


def side(*rows: tuple[str, int]) -> tuple[AttributedLevel, ...]:
    return tuple(
        AttributedLevel(price=Decimal(price), size=Decimal(size), venue="LP1", received_at_us=0) for price, size in rows
    )


BIDS = side(("1.1000", 1), ("1.0998", 3))
ASKS = side(("1.1003", 1), ("1.1004", 3))


VWAP, CUMULATIVE, MIDPOINT = BuildMode.VWAP, BuildMode.CUMULATIVE, BuildMode.MIDPOINT


@pytest.mark.parametrize(
    ("mode", "size", "bid", "ask", "is_thin"),
    [
        (BuildMode.BEST, None, "1.1000", "1.1003", False),
        (MIDPOINT, None, "1.1001", "1.1002", False),
        (VWAP, "2", "1.0999", "1.1004", False),
        (VWAP, "1", "1.1000", "1.1003", False),
        (VWAP, "4", "1.0998", "1.1004", False),
        (VWAP, "5", "1.0998", "1.1004", True),
        (CUMULATIVE, "1", "1.1000", "1.1003", False),
        (CUMULATIVE, "1.01", "1.0998", "1.1004", False),
        (CUMULATIVE, "4", "1.0998", "1.1004", False),
        (CUMULATIVE, "5", "1.0998", "1.1004", True),
    ],
)
def test_each_mode_builds_its_price(mode: BuildMode, size: str | None, bid: str, ask: str, is_thin: bool) -> None:
    build = PriceBuild(mode=mode, size_lots=Decimal(size) if size else None)
    quote = built(bids=BIDS, asks=ASKS, build=build, tick=TICK)
    assert quote == BuiltQuote(bid=Decimal(bid), ask=Decimal(ask), is_thin=is_thin)


def test_half_a_book_builds_no_touch_but_the_side_that_there_is() -> None:
    for build in (PriceBuild(mode=MIDPOINT), PriceBuild(mode=VWAP, size_lots=Decimal(1))):
        assert built(bids=BIDS, asks=(), build=build, tick=TICK) is None
        assert built(bids=(), asks=ASKS, build=build, tick=TICK) is None
    build = PriceBuild(mode=VWAP, size_lots=Decimal(2))
    assert built_side(levels=ASKS, build=build, is_bid=False, tick=TICK) == (Decimal("1.1004"), 2, False)
    assert built_side(levels=(), build=build, is_bid=False, tick=TICK) is None
    assert built(bids=BIDS, asks=side(("1.2", 1)), build=build, tick=TICK) == BuiltQuote(
        bid=Decimal("1.0999"), ask=Decimal("1.2"), is_thin=True
    )


books = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), min_size=1, max_size=6)


@given(books, st.sampled_from([VWAP, CUMULATIVE]), st.integers(1, 12), st.booleans())
def test_a_build_is_what_a_naive_walk_lot_by_lot_pays(
    book: list[tuple[int, int]], mode: BuildMode, size: int, is_bid: bool
) -> None:
    """Rounded against the taker; never better than the top, nor for a book that lost its end."""
    sign = -1 if is_bid else 1
    rows = [(1_000 + sign * away, lots) for away, lots in sorted(book)]
    one_by_one = [price for price, lots in rows for _ in range(lots)][:size]
    worth = one_by_one[-1] if mode is CUMULATIVE else sign * -(-sign * sum(one_by_one) // len(one_by_one))
    levels = side(*((f"{price * TICK}", lots) for price, lots in rows))
    build = PriceBuild(mode=mode, size_lots=Decimal(size))
    made = built_side(levels=levels, build=build, is_bid=is_bid, tick=TICK)
    assert made == (worth * TICK, len(one_by_one), len(one_by_one) < size)
    assert sign * (made.price - levels[0].price) >= 0
    if len(levels) > 1:
        thinner = built_side(levels=levels[1:], build=build, is_bid=is_bid, tick=TICK)
        assert thinner is not None
        assert sign * (thinner.price - made.price) >= 0


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("size_lots", PriceBuild(mode=VWAP)),
        ("size_lots", PriceBuild(mode=CUMULATIVE, size_lots=Decimal(0))),
        ("size_lots", PriceBuild(mode=CUMULATIVE, size_lots=Decimal(-1))),
        ("size_lots", PriceBuild(mode=VWAP, size_lots=Decimal("NaN"))),
        ("size_lots", PriceBuild(mode=VWAP, size_lots=SIZE_LOTS_MAX + 1)),
        ("size_lots", PriceBuild(mode=MIDPOINT, size_lots=Decimal(1))),
        ("size_lots", PriceBuild(mode=BuildMode.BEST, size_lots=Decimal(1))),
        ("thin", PriceBuild(mode=MIDPOINT, thin=ThinBook.REJECT)),
        ("", PriceBuild(mode=MIDPOINT)),
        ("", PriceBuild(mode=BuildMode.BEST)),
        ("", PriceBuild(mode=VWAP, size_lots=SIZE_LOTS_MAX, thin=ThinBook.REJECT)),
    ],
)
def test_what_is_wrong_with_a_build_names_its_field(field: str, build: PriceBuild) -> None:
    assert build_fault(build=build).partition(":")[0] == field
    fault = profile_fault(profile=PriceProfile(build=build))
    assert fault.partition(":")[0] == (f"build.{field}" if field else "")


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
        (SpreadProfile(max_points=3, action=SpreadAction.REJECT), "1.1000", "1.1003"),
        (SpreadProfile(target_points=1, max_points=3, action=SpreadAction.REJECT), "1.1001", "1.1002"),
        (SpreadProfile(target_points=1, max_points=2), "1.1000", "1.1003"),
        (SpreadProfile(target_points=1, max_points=2, action=SpreadAction.ABSORB), "1.1001", "1.1002"),
        (SpreadProfile(target_points=1, max_points=2, action=SpreadAction.REJECT), None, None),
        (SpreadProfile(target_points=5, min_points=4), "1.0999", "1.1004"),
    ],
)
def test_a_profile_widens_narrows_passes_or_rejects(profile: SpreadProfile, bid: str | None, ask: str | None) -> None:
    raw = BuiltQuote(bid=Decimal("1.1000"), ask=Decimal("1.1003"))
    shown = with_spread(quote=raw, profile=profile, tick=TICK)
    assert shown == (BuiltQuote(bid=Decimal(bid), ask=Decimal(ask)) if bid and ask else None)


@pytest.mark.parametrize(
    ("field", "spread"),
    [
        ("min_points", SpreadProfile(min_points=-1)),
        ("max_points", SpreadProfile(max_points=-1)),
        ("target_points", SpreadProfile(target_points=-1)),
        ("min_points", SpreadProfile(min_points=3, max_points=2)),
        ("target_points", SpreadProfile(min_points=3, target_points=2)),
        ("target_points", SpreadProfile(max_points=3, target_points=4)),
        ("action", SpreadProfile(target_points=4, action=SpreadAction.REJECT)),
        ("", SpreadProfile(min_points=3, target_points=3, max_points=3, action=SpreadAction.REJECT)),
        ("", SpreadProfile(min_points=0)),
    ],
)
def test_what_is_wrong_with_a_spread_names_its_field(field: str, spread: SpreadProfile) -> None:
    """What would never be done is told as well: a dealer may count on it."""
    assert spread_fault(spread=spread).partition(":")[0] == field
    fault = profile_fault(profile=PriceProfile(spread=spread))
    assert fault.partition(":")[0] == (f"spread.{field}" if field else "")


def test_a_book_crossed_between_venues_is_uncrossed_by_a_minimum() -> None:
    raw = BuiltQuote(bid=Decimal("1.1003"), ask=Decimal("1.1001"))
    shown = with_spread(quote=raw, profile=SpreadProfile(min_points=2), tick=TICK)
    assert shown == BuiltQuote(bid=Decimal("1.1001"), ask=Decimal("1.1003"))
