"""LPs as the broker's staff set them up; every change goes to the engine and to the FIX worker without a restart."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db import connection, transaction

from apps.liquidity.models import FixNumbers, LiquidityProvider, LpSymbol
from apps.liquidity.models.providers import FIX
from apps.liquidity.services.sessions import begin_at_1, drop_copy_numbers, session_lock
from apps.outbox.services import SET_UP, tell_engine
from piggy.core.commands import ConfigureVenue


class UnableToBeginAnew(Exception):
    """The numbers stay as they are; the message may be shown to staff."""


class SymbolTerms(NamedTuple):
    """Our symbol, the LP's name for it and its units in one lot."""

    symbol: str
    venue_symbol: str
    units_per_lot: Decimal


def save_provider(*, tenant: str, provider: LiquidityProvider, by: str) -> LiquidityProvider:
    """Write a new or changed LP and tell the engine. Raises ValidationError, naming the field."""
    with transaction.atomic():
        provider.full_clean()
        provider.save()
        tell_provider(tenant=tenant, provider=provider, by=by)
    return provider


def tell_provider(*, tenant: str, provider: LiquidityProvider, by: str, reason: str = "") -> None:
    """Give the LP its next version, as when its symbols changed, and tell the engine; `reason` stays in its history."""
    with transaction.atomic():
        current = LiquidityProvider.objects.select_for_update().get(pk=provider.pk)
        provider.version = current.version + 1
        LiquidityProvider.objects.filter(pk=provider.pk).update(version=provider.version)
        _tell(tenant=tenant, provider=provider, by=by, reason=reason)


def begin_numbers_anew(*, tenant: str, provider: LiquidityProvider, by: str) -> None:
    """Start the numbers of an LP's session, and of its drop copy, at 1 as agreed with the LP.

    What it said and we did not hear is not sent again, so every open order is asked about at the next logon. Raises
    UnableToBeginAnew while the session may be open.
    """
    with transaction.atomic():
        current = LiquidityProvider.objects.select_for_update().get(pk=provider.pk)
        if current.kind != FIX:
            raise UnableToBeginAnew(f"{current}: it has no FIX session.")
        if current.enabled:
            raise UnableToBeginAnew(f"{current}: switch it off first.")
        with connection.cursor() as cursor:
            # Whoever has the session writes its numbers down as it ends.
            cursor.execute("select pg_try_advisory_xact_lock(%s)", [session_lock(name=f"{tenant}/{current.name}")])
            if not cursor.fetchone()[0]:
                raise UnableToBeginAnew(f"{current}: its session is still open; try again in a few seconds.")
        begin_at_1(venue=current.name)
        if FixNumbers.objects.filter(venue=(copied := drop_copy_numbers(venue=current.name))).exists():
            begin_at_1(venue=copied)
        tell_provider(tenant=tenant, provider=current, by=by, reason="FIX sequence numbers begin anew at 1, as agreed")


def add_provider(
    *, tenant: str, name: str, port: int, symbols: Sequence[SymbolTerms], by: str, priority: int = 100
) -> LiquidityProvider:
    """Make, or bring up to date, an LP of the range on this machine with its symbols, and tell the engine."""
    with transaction.atomic():
        provider, _ = LiquidityProvider.objects.update_or_create(
            name=name,
            defaults={"port": port, "sender_comp_id": tenant.upper(), "target_comp_id": name, "priority": priority},
        )
        for terms in symbols:
            LpSymbol.objects.update_or_create(
                provider=provider,
                symbol=terms.symbol,
                defaults={"venue_symbol": terms.venue_symbol, "units_per_lot": terms.units_per_lot},
            )
        tell_provider(tenant=tenant, provider=provider, by=by, reason=SET_UP)
    return provider


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every LP anew; `mark` makes this re-telling distinct from earlier ones."""
    with transaction.atomic():
        found = list(LiquidityProvider.objects.order_by("name"))
        for provider in found:
            _tell(tenant=tenant, provider=provider, by=by, mark=mark)
    return len(found)


def _tell(*, tenant: str, provider: LiquidityProvider, by: str, mark: str = "", reason: str = "") -> None:
    tell_engine(
        tenant=tenant,
        command=ConfigureVenue(venue=provider.to_core()),
        reference=provider.reference,
        version=f"{provider.version}{mark}",
        by=by,
        reason=reason,
    )
