"""What routing goes by at an LP, as two people decided it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.liquidity.models import LiquidityProvider, LpSymbol
from apps.liquidity.services.execution import set_stage
from apps.liquidity.services.providers import tell_provider

SYMBOLS = "symbols"


def put_terms(*, tenant: str, name: str, terms: Mapping[str, Any], by: str, reason: str, at: datetime) -> None:
    """Write an LP's terms as selectors.terms_of says them, and tell the engine. Raises ValidationError."""
    with transaction.atomic():
        provider = LiquidityProvider.objects.select_for_update().get(name=name)
        before = provider.stage
        for field, value in terms.items():
            if field != SYMBOLS:
                setattr(provider, field, value)
        provider.full_clean()
        provider.save()
        provider.symbols.all().delete()
        LpSymbol.objects.bulk_create(LpSymbol(provider=provider, **row) for row in terms[SYMBOLS])
        told: dict[str, Any] = {"tenant": tenant, "provider": provider, "by": by, "reason": reason}
        if provider.stage == before:
            tell_provider(**told)
        else:
            set_stage(**told, before=before, now=at)


def check_terms(*, name: str, terms: Mapping[str, Any]) -> None:
    """Raise ValidationError, naming the field, where an LP could not be given these."""
    provider = LiquidityProvider.objects.get(name=name)
    for field, value in terms.items():
        if field != SYMBOLS:
            setattr(provider, field, value)
    provider.full_clean()
    for field in ("symbol", "venue_symbol"):
        named = [row[field] for row in terms[SYMBOLS]]
        if twice := sorted({each for each in named if named.count(each) > 1}):
            raise ValidationError({SYMBOLS: f"{twice[0]} stands twice."})
    for row in terms[SYMBOLS]:
        LpSymbol(provider=provider, **row).full_clean(exclude=["provider"], validate_unique=False)
