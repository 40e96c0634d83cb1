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
        canary.name: replace(canary, shadow=True)
        for canary in canaries(venues=venues)
        if not is_its_turn(order_id=order_id, canary=canary)
    }
    return {**venues, **spared} if spared else venues


def canaries(*, venues: Mapping[str, Venue]) -> tuple[Venue, ...]:
    """Return the venues that take only a percent of the orders."""
    return tuple([venue for venue in venues.values() if venue.canary_percent is not None])


def proven(*, venues: Mapping[str, Venue]) -> Mapping[str, Venue]:
    """Return the venues as the house's own hedges may use them: not those on trial."""
    trial = {canary.name: replace(canary, shadow=True) for canary in canaries(venues=venues)}
    return {**venues, **trial} if trial else venues


def is_its_turn(*, order_id: str, canary: Venue) -> bool:
    """Return whether the order is one of the canary's."""
    assert canary.canary_percent is not None
    digest = hashlib.sha256(f"{canary.name}\x1f{order_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % PARTS < canary.canary_percent * PARTS / 100
