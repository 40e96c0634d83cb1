"""Tell clients what they must be told: each further tenth that a position lost, and how many accounts lose money."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.risk import selectors
from apps.risk.models import DepreciationNotice, LossShare
from apps.risk.selectors.protection import window_begins

# Well within the three months that a figure may be said for.
MEASURED_EVERY = timedelta(days=1)
BY_CLIENT = "fetched by the client"


def note_depreciations(*, tenant: str, at: datetime) -> int:
    """Write the notices that are due at the live quotes; each step of a position's life once. Return how many."""
    due = selectors.depreciated(tenant=tenant, at=at)
    rows = [DepreciationNotice(**notice._asdict(), at=at) for notice in due]
    return len(DepreciationNotice.objects.bulk_create(rows, ignore_conflicts=True))


def measure_losses(*, tenant: str, at: datetime) -> LossShare | None:
    """Measure anew what the risk warning says, once a day; None where that was done already."""
    latest = selectors.latest_loss_share()
    if latest is not None and at - latest.measured_at < MEASURED_EVERY:
        return None
    since = window_begins(at=at)
    accounts, losing = selectors.losing_accounts(tenant=tenant, since=since, at=at)
    figures = {"since": since, "measured_at": at, "accounts": accounts, "losing": losing}
    share, is_new = LossShare.objects.get_or_create(day=at.astimezone(UTC).date(), defaults=figures)
    return share if is_new else None


def fetch_notices(*, user: Any, at: datetime) -> list[DepreciationNotice]:
    """Return notices of the user's accounts, the newest first, and remember of those that are new that he has them now.

    What is too much for one answer is in the next.
    """
    rows = sorted(selectors.notices_of(user=user), key=lambda row: -row.pk)
    fresh = [row.pk for row in rows if row.told_at is None]
    DepreciationNotice.objects.filter(pk__in=fresh, told_at=None).update(told_at=at, told_by=BY_CLIENT)
    return rows


def tell_otherwise(*, notices: Iterable[int], by: str, at: datetime) -> int:
    """Note that `by` told clients of these notices in another way; those that were told stay. Return how many."""
    chosen = DepreciationNotice.objects.filter(pk__in=list(notices), told_at=None)
    return chosen.update(told_at=at, told_by=by)
