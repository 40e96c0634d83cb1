"""Prices of the one symbol that the engine's tests trade."""

from __future__ import annotations

import time
from decimal import Decimal

from piggy.core.market import Level, VenueQuote, VenueState, VenueStatus


def quotes(*, venue: str = "LP1", symbol: str = "EURUSD") -> list[VenueQuote | VenueStatus]:
    """Return the venue's state and one deep level on each side, as of now."""
    now_us = time.time_ns() // 1_000
    return [
        VenueStatus(venue=venue, state=VenueState.READY, text="", at_us=now_us),
        VenueQuote(
            venue=venue,
            symbol=symbol,
            bids=(Level(Decimal("1.10000"), Decimal(50)),),
            asks=(Level(Decimal("1.10010"), Decimal(50)),),
            venue_at_us=now_us,
            received_at_us=now_us,
        ),
    ]
