"""Ranking remembered: venues are ranked anew only when something that ranks them changed; each order then asks again.

Orders come far more often than what ranks venues changes. With the next order only the ages of the quotes are new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from msgspec.structs import replace

from piggy.core.accounts import Venue
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side
from piggy.core.routing import rank, reachable
from piggy.core.routing_rules import CostModel, VenueScore
from piggy.core.verdicts import VenueConsidered

_BUY = Side.BUY


@dataclass(slots=True, frozen=True)
class Ranking:
    """Every venue as it ranks now, and the levels that may be dealt at, best first."""

    considered: tuple[VenueConsidered, ...]
    reachable: tuple[AttributedLevel, ...]


@dataclass(slots=True)
class _Held:
    levels: tuple[AttributedLevel, ...]
    venues: dict[str, Venue]
    excluded: dict[str, str]
    scores: dict[str, VenueScore]
    cost_model: CostModel
    limit: str
    received: tuple[int | None, ...]
    ranking: Ranking


class Rankings:
    """The latest ranking of each side of each symbol; what is kept never outlives its inputs."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, bool], _Held] = {}

    def of(
        self,
        *,
        symbol: str,
        side: Side,
        venues: Mapping[str, Venue],
        levels: tuple[AttributedLevel, ...],
        excluded: Mapping[str, str],
        scores: Mapping[str, VenueScore],
        cost_model: CostModel,
        limit: Decimal | None,
        now_us: int,
    ) -> Ranking:
        """Return what `routing.rank` and `routing.reachable` say of the live `levels` of the side that is taken."""
        held = self._held.get((symbol, side is _BUY))
        # A tuple of levels is the same object until a quote changes; dicts of the same objects compare by identity.
        if (
            held is not None
            and held.levels is levels
            and held.limit == str(limit)
            and held.cost_model == cost_model
            and held.excluded == excluded
            and held.venues == venues
            and held.scores == scores
        ):
            considered = _aged(held.ranking.considered, held.received, now_us)
            return Ranking(considered, held.ranking.reachable)
        considered = rank(
            venues=venues,
            levels=levels,
            excluded=excluded,
            scores=scores,
            cost_model=cost_model,
            side=side,
            limit=limit,
            now_us=now_us,
        )
        ranking = Ranking(considered, reachable(levels=levels, ranked=considered, side=side, limit=limit))
        self._held[(symbol, side is _BUY)] = _Held(
            levels,
            dict(venues),
            dict(excluded),
            dict(scores),
            cost_model,
            str(limit),
            _received(levels, considered),
            ranking,
        )
        return ranking


def _received(levels: tuple[AttributedLevel, ...], considered: tuple[VenueConsidered, ...]) -> tuple[int | None, ...]:
    best: dict[str, int] = {}
    for level in levels:
        best.setdefault(level.venue, level.received_at_us)
    return tuple([best.get(seen.venue) for seen in considered])


def _aged(
    considered: tuple[VenueConsidered, ...], received: tuple[int | None, ...], now_us: int
) -> tuple[VenueConsidered, ...]:
    """Return copies that are as old as their quotes are now; what was recorded before stays as it is."""
    return tuple(
        [
            seen if at_us is None else replace(seen, quote_age_ms=(now_us - at_us) // 1000)
            for seen, at_us in zip(considered, received, strict=True)
        ]
    )
