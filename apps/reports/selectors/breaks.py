"""Breaks with LPs that wait for somebody, and the LPs that send statements."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.liquidity import selectors as liquidity
from apps.reports.models import Break


def open_breaks() -> QuerySet[Break]:
    """Return the breaks that nobody has explained or closed, oldest first."""
    return Break.objects.filter(state=Break.State.OPEN).order_by("opened_at", "id")


def venue_names() -> list[str]:
    """Return the names of the broker's LPs."""
    return sorted(provider.name for provider in liquidity.providers())
