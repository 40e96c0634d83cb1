"""What routing goes by at an LP; two people change it together."""

from __future__ import annotations

from typing import Any

from apps.liquidity.models import LiquidityProvider, LpSymbol

# Of the LP's record; the rest of it is how its session is reached.
TERMS = (
    "enabled",
    "priority",
    "stage",
    "canary_percent",
    "quote_age_ms_max",
    "answer_ms_max",
    "messages_per_s_max",
    "commission_per_million",
)


def terms_of(*, name: str) -> dict[str, Any] | None:
    """Return what routing goes by at an LP, with its symbols, None where there is no such LP."""
    row = LiquidityProvider.objects.filter(name=name).values(*TERMS).first()
    symbols = LpSymbol.objects.filter(provider__name=name).order_by("symbol")
    return row and row | {"symbols": list(symbols.values("symbol", "venue_symbol", "units_per_lot", "enabled"))}
