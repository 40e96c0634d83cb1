from __future__ import annotations

from django.db import transaction

from apps.outbox.services import tell_engine
from apps.risk import selectors
from apps.risk.models import GroupLimits
from piggy.core.commands import ConfigureLimits


def save_limits(*, tenant: str, limits: GroupLimits, by: str) -> GroupLimits:
    """Write a group's new or changed limits and tell the engine; effective on the group's next order.

    Raises django's ValidationError, whose messages name the field and its limit.
    """
    with transaction.atomic():
        current = GroupLimits.objects.select_for_update().filter(pk=limits.pk).first()
        limits.version = (current.version if current else 0) + 1
        limits.full_clean()
        limits.save()
        _tell(tenant=tenant, limits=limits, by=by)
    return limits


def sync_engine(*, tenant: str, by: str, mark: str) -> int:
    """Tell the engine every group's limits anew; `mark` makes this re-telling distinct from earlier ones."""
    with transaction.atomic():
        rows = list(selectors.all_limits())
        for limits in rows:
            _tell(tenant=tenant, limits=limits, by=by, mark=mark)
    return len(rows)


def _tell(*, tenant: str, limits: GroupLimits, by: str, mark: str = "") -> None:
    name = limits.group.name
    tell_engine(
        tenant=tenant,
        command=ConfigureLimits(group=name, limits=limits.to_core()),
        reference=f"limits:{name}",
        version=f"{limits.version}{mark}",
        by=by,
    )
