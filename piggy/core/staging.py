"""Staging venues: a shadow is never asked, a canary by its percent of the orders, a live venue by all.

Which orders are a canary's follows from the order's id, so that a replay sends the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from piggy.core.accounts import Venue

PARTS = 10_000  # A hundredth of a percent.


def venues_for(*, order_id: str, venues: Mapping[str, Venue]) -> Mapping[str, Venue]:
    """Return the venues as this order may use them: a canary whose turn it is not is a shadow to it."""
    spared = {
        name: replace(venue, shadow=True)
        for name, venue in venues.items()
        if venue.canary_percent is not None and not _is_its_turn(order_id, venue)
    }
    return {**venues, **spared} if spared else venues


def proven(*, venues: Mapping[str, Venue]) -> Mapping[str, Venue]:
    """Return the venues as the house's own hedges may use them: not those on trial."""
    trial = {name: replace(venue, shadow=True) for name, venue in venues.items() if venue.canary_percent is not None}
    return {**venues, **trial} if trial else venues


def _is_its_turn(order_id: str, venue: Venue) -> bool:
    assert venue.canary_percent is not None
    digest = hashlib.sha256(f"{venue.name}\x1f{order_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % PARTS < venue.canary_percent * PARTS / 100
