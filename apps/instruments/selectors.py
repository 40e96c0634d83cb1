from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery

from apps.instruments.models import Instrument


def all_instruments() -> QuerySet[Instrument]:
    """Return every symbol of the tenant by name."""
    return Instrument.objects.order_by("symbol")


def instrument_exists(*, symbol: str) -> bool:
    """Return whether the tenant knows `symbol`, tradable or not."""
    return Instrument.objects.filter(symbol=symbol).exists()


def has_option(*, underlying: str) -> bool:
    """Return whether the tenant has an option on `underlying`."""
    return Instrument.objects.filter(option_underlying=underlying).exists()


def digits() -> dict[str, Subquery]:
    """Return what to annotate rows with a `symbol` with: how many decimals its prices and its lots have."""
    named = Instrument.objects.filter(symbol=OuterRef("symbol"))
    return {name: Subquery(named.values(name)[:1]) for name in ("price_digits", "lot_digits")}
