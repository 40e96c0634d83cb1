from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.dealing import services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant


@shared_task(queue="default", name="dealing.revert_due", is_shared=True)  # type: ignore[call-overload]
def revert_due(**kwargs: Any) -> int:
    """Put back every broker's changes whose time is over; safe to repeat. Return how many."""
    ended = 0
    for tenant in active_schemas():
        with in_tenant(tenant):
            ended += services.revert_due(tenant=tenant, now=timezone.now())
    return ended
