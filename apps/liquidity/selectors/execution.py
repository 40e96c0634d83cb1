"""How venues serve and what they cost: scorecards, comparisons of shadows, the policy in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from apps.common.times import moment
from apps.liquidity.models import ExecutionPolicy, LiquidityProvider, RouteQuote, VenueScorecard
from piggy.messaging import streams

ZERO, BPS = Decimal(0), Decimal(10_000)
Card = dict[str, Any]
_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, health_check_interval=30)


class Cards(NamedTuple):
    """Every venue's scorecard as the engine published it `at` that time."""

    at: datetime
    venues: list[Card]


class Cost(NamedTuple):
    """What fills cost against the best price at arrival, in basis points, over so many fills."""

    bps: Decimal
    fills: int


class VenueSymbol(NamedTuple):
    """Our name of a venue's symbol, and how many of its units one lot is."""

    symbol: str
    units_per_lot: Decimal


class VenueTerms(NamedTuple):
    """What a venue calls our symbols and what it takes for a million dealt."""

    symbols: dict[str, VenueSymbol]
    commission_per_million: Decimal


class Comparison(NamedTuple):
    """What a venue on trial would have meant; above zero `saved_bps` it was better than the first choice."""

    venue: str
    decisions: int
    first_percent: Decimal
    saved_bps: Decimal
    saved: dict[str, str]


def scorecards(*, tenant: str) -> Cards | None:
    """Return the engine's latest scorecards, None where it has not spoken or Redis is away."""
    try:
        found = _redis.get(streams.scorecards_key(tenant=tenant))
    except redis.RedisError:
        return None
    if not isinstance(found, bytes):
        return None
    read = json.loads(found)
    return Cards(moment(read["at_us"]), read["venues"])


def kept_cards(*, before: datetime) -> list[Card]:
    """Return each venue's last scorecard that was kept before that time."""
    latest = VenueScorecard.objects.filter(taken_at__lt=before).order_by("venue", "-taken_at").distinct("venue")
    return [row.card for row in latest]


def policy() -> ExecutionPolicy:
    """Return the broker's policy, the default one where none was written."""
    return ExecutionPolicy.objects.first() or ExecutionPolicy()


def venue_terms(*, venue: str) -> VenueTerms | None:
    """Return a venue's terms, None where there is none of that name; symbols that were switched off count too."""
    provider = LiquidityProvider.objects.filter(name=venue).first()
    if provider is None:
        return None
    symbols = {row.venue_symbol: VenueSymbol(row.symbol, row.units_per_lot) for row in provider.symbols.all()}
    return VenueTerms(symbols, provider.commission_per_million)


def execution_cost(*, venues: Sequence[str], since: datetime | None) -> Cost:
    """Return what these venues' fills cost since then against the best asked price when the order was routed."""
    rows = RouteQuote.objects.filter(venue__in=venues, fills__gt=0)
    if since is not None:
        rows = rows.filter(decided_at__gte=since)
    sums = rows.aggregate(
        paid=Sum(F("sign") * (F("notional") - F("filled") * F("best_price"))),
        dealt=Sum(F("filled") * F("best_price")),
        fills=Sum("fills"),
    )
    if not sums["dealt"]:
        return Cost(ZERO, 0)
    return Cost(sums["paid"] / sums["dealt"] * BPS, sums["fills"])


def comparisons(*, since: datetime | None = None) -> list[Comparison]:
    """Return what each venue would have meant where it was a shadow: how often first, and what it would have saved.

    Savings count the lots that it quoted at that moment, cost model included, in each symbol's quote currency a unit.
    """
    rows = RouteQuote.objects.filter(asked=False)
    if since is not None:
        rows = rows.filter(decided_at__gte=since)
    better = F("sign") * (F("best_price") - F("price")) + F("best_cost") - F("cost")
    sums = (
        rows.annotate(better=better)
        .values("venue", "symbol")
        .annotate(
            decisions=Count("pk"),
            first=Count("pk", filter=Q(better__gt=0)),
            gained=Coalesce(Sum(F("better") / F("best_price")), ZERO),
            saved=Sum(F("better") * F("lots"), filter=Q(size__gte=F("lots"))),
        )
        .order_by("venue", "symbol")
    )
    by_venue: dict[str, list[Any]] = {}
    for row in sums:
        by_venue.setdefault(row["venue"], []).append(row)
    return [_comparison(venue, parts) for venue, parts in by_venue.items()]


def _comparison(venue: str, parts: list[Any]) -> Comparison:
    decisions = sum(part["decisions"] for part in parts)
    gained = sum((part["gained"] for part in parts), ZERO)
    return Comparison(
        venue=venue,
        decisions=decisions,
        first_percent=(Decimal(100 * sum(part["first"] for part in parts)) / decisions).quantize(Decimal("0.01")),
        saved_bps=(gained / decisions * BPS).quantize(Decimal("0.001")),
        saved={part["symbol"]: f"{part['saved'] or ZERO:f}" for part in parts},
    )
