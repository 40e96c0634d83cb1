from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.liquidity.models import LiquidityProvider, VenueOrder, VenueReport
from piggy.adapters.fix.config import DIALECTS, SessionConfig, SymbolMapping

OPEN_STATES = (VenueOrder.State.PERSISTED, VenueOrder.State.SENT, VenueOrder.State.WORKING, VenueOrder.State.DOUBT)


def providers() -> QuerySet[LiquidityProvider]:
    """Return every LP of the current broker, by name."""
    return LiquidityProvider.objects.order_by("name")


def open_orders(*, venue: str) -> QuerySet[VenueOrder]:
    """Return the orders of which something may still live at the LP, oldest first."""
    return VenueOrder.objects.filter(venue=venue, state__in=OPEN_STATES).order_by("id")


def unsettled_orders(*, venue: str, silent_s: float) -> QuerySet[VenueOrder]:
    """Return orders in doubt, and those that left `silent_s` seconds ago without a word from the LP."""
    silent = Q(state=VenueOrder.State.SENT, updated_at__lt=Now() - timedelta(seconds=silent_s))
    return VenueOrder.objects.filter(Q(state=VenueOrder.State.DOUBT) | silent, venue=venue).order_by("id")


def untold_reports() -> QuerySet[VenueReport]:
    """Return reports whose command is not known to be in the log, oldest first."""
    return VenueReport.objects.filter(heard_at__isnull=True, command_id__isnull=False).order_by("id")


def session_configs(*, tenant: str, home: Path, secrets: Path | None) -> dict[str, SessionConfig]:
    """Return the FIX session of each enabled LP of the current broker, by LP."""
    passwords: dict[str, str] = json.loads(secrets.read_text()) if secrets and secrets.exists() else {}
    found = LiquidityProvider.objects.filter(enabled=True).prefetch_related("symbols")
    return {
        provider.name: SessionConfig(
            tenant=tenant,
            venue=provider.name,
            host=provider.host,
            port=provider.port,
            sender_comp_id=provider.sender_comp_id,
            target_comp_id=provider.target_comp_id,
            home=home / tenant / provider.name,
            symbols=tuple(
                SymbolMapping(
                    symbol=row.symbol, venue_symbol=row.venue_symbol, units_per_lot=row.units_per_lot.normalize()
                )
                for row in sorted(provider.symbols.all(), key=lambda row: row.symbol)
                if row.enabled
            ),
            dialect=DIALECTS[provider.dialect],
            username=provider.username,
            password=passwords.get(f"{tenant}/{provider.name}", ""),
            heartbeat_s=provider.heartbeat_s,
            order_age_ms_max=provider.order_age_ms_max,
        )
        for provider in found
    }


def parked_count() -> int:
    """Return how many messages of LPs nobody could read."""
    return VenueReport.objects.filter(kind="parked").count()
