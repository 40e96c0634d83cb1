from __future__ import annotations

from django.db.models import QuerySet

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
