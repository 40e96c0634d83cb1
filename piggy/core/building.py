"""Building: a touch with the depth behind it, so that what is held is valued at the price that its owner is shown."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.bookbuild import BuiltQuote, Levels, PriceBuild, built
from piggy.core.conversion import Touch
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO


class DeepTouch(Touch):
    """A touch that knows the depth it is the top of, and what was built of it so far."""

    bids: Levels
    asks: Levels
    known: dict[tuple[PriceBuild, Decimal], BuiltQuote]

    def built(self, *, build: PriceBuild, tick: Decimal) -> BuiltQuote:
        """Return both sides as `build` has them."""
        key = (build, tick)
        if (known := self.known.get(key)) is None:
            known = built(bids=self.bids, asks=self.asks, build=build, tick=tick)
            assert known is not None, "a touch has both sides"
            self.known[key] = known
        return known


def deep_touch(*, touch: Touch, bids: Levels, asks: Levels) -> DeepTouch:
    """Return `touch` with what is quoted, best first; both sides are."""
    made = DeepTouch(*touch)
    made.bids, made.asks, made.known = bids, asks, {}
    return made


def built_quote(*, touch: Touch, build: PriceBuild, tick: Decimal) -> BuiltQuote:
    """Return both sides as `build` has them; where no depth is known behind the touch, nothing is quoted beyond it."""
    if not isinstance(touch, DeepTouch):
        bid, ask, at_us = touch
        bids, asks = (
            (AttributedLevel(price=price, size=ZERO, venue="", received_at_us=at_us),) for price in (bid, ask)
        )
        touch = deep_touch(touch=touch, bids=bids, asks=asks)
    return touch.built(build=build, tick=tick)


def bases(*, touch: Touch, build: PriceBuild, tick: Decimal) -> tuple[Touch, Touch]:
    """Return what a client's markup is put on, and what his spread is drawn around.

    A build of a size is a price of the street, at which venues fill so many lots; the middle is none, and who is shown
    a price around it deals at the touch less what that gives him.
    """
    quote = built_quote(touch=touch, build=build, tick=tick)
    seen = Touch(quote.bid, quote.ask, touch.at_us)
    return (seen if build.is_deep else touch), seen
