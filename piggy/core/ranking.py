"""Ranking remembered: venues are ranked anew only when something that ranks them changed.

Orders come far more often than what ranks venues changes; those in between share one ranking and its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from piggy.core.accounts import Venue
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side
from piggy.core.pricing import worst_price
from piggy.core.routing import FREE, rank_levels
from piggy.core.routing_rules import CostModel, VenueScore
from piggy.core.staging import canaries, is_its_turn, venues_for
from piggy.core.verdicts import packed

_BUY = Side.BUY
# Of the configuration, of the scores that matter, and the venues that the order spares.
Version = tuple[int, int, tuple[str, ...]]


@dataclass(slots=True, frozen=True)
class Ranking:
    """Every venue as it ranks now, as a decision carries it, and the levels to deal at, best first.

    `cost_version` is that of the cost model, 0 where there is none.
    """

    venues: bytes
    reachable: tuple[AttributedLevel, ...]
    cost_version: int = 0


class Rankings:
    """The latest ranking of each side of each symbol; what is kept never outlives its inputs."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, bool], tuple[tuple[AttributedLevel, ...], Version, Decimal | None, Ranking]] = {}
        self._canaries: tuple[int, tuple[Venue, ...]] = (-1, ())
        self._worst: dict[tuple[str, bool], tuple[Decimal, Decimal, Instrument, Decimal]] = {}

    def worst(self, *, price: Decimal, bps: Decimal, instrument: Instrument, side: Side) -> Decimal:
        """Return what `pricing.worst_price` says; it is worked out anew once any of what it follows from is another."""
        key = (instrument.symbol, side is _BUY)
        held = self._worst.get(key)
        if held is not None and held[0] is price and held[1] is bps and held[2] is instrument:
            return held[3]
        worst = worst_price(price=price, bps=bps, instrument=instrument, side=side)
        self._worst[key] = (price, bps, instrument, worst)
        return worst

    def spared(self, *, order_id: str, venues: Mapping[str, Venue], config_version: int) -> tuple[str, ...]:
        """Return the canaries whose turn the order is not."""
        if self._canaries[0] != config_version:
            self._canaries = (config_version, canaries(venues=venues))
        found = self._canaries[1]
        if not found:
            return ()
        return tuple([canary.name for canary in found if not is_its_turn(order_id=order_id, canary=canary)])

    def of(
        self,
        *,
        order_id: str,
        symbol: str,
        side: Side,
        venues: Mapping[str, Venue],
        levels: tuple[AttributedLevel, ...],
        excluded: Mapping[str, str],
        scores: Mapping[str, VenueScore],
        cost_model: CostModel,
        limit: Decimal | None,
        version: Version | None,
    ) -> Ranking:
        """Return what `routing.rank` and `routing.reachable` say of the live `levels` of the side that is taken.

        `version` changes with every change of venues, excluded, scores or cost model that matters; None is never kept.
        """
        # A tuple of levels is the same object until a quote changes.
        key = (symbol, side is _BUY)
        held = self._held.get(key)
        if held is not None and held[0] is levels and held[1] == version and _alike(held[2], limit):
            return held[3]
        spares_none = version is not None and not version[2]
        rows, found = rank_levels(
            venues=venues if spares_none else venues_for(order_id=order_id, venues=venues),
            levels=levels,
            excluded=excluded,
            scores=scores,
            cost_model=cost_model,
            side=side,
            limit=limit,
        )
        ranking = Ranking(packed(considered=rows), found, 0 if cost_model == FREE else cost_model.version)
        if version is not None:
            self._held[key] = (levels, version, limit, ranking)
        return ranking


def _alike(limit: Decimal | None, other: Decimal | None) -> bool:
    """Whether two limits are the same to the digit, as texts of the ranking name them."""
    return limit is other or str(limit) == str(other)
