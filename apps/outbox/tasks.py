from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.outbox import services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant


@shared_task(queue="default", name="outbox.sweep", is_shared=True)  # type: ignore[call-overload]
def sweep(**kwargs: Any) -> int:
    """Tell every tenant's engine again what it has not recorded; safe to repeat. Return how many were told."""
    told = 0
    for tenant in active_schemas():
        with in_tenant(tenant):
            told += services.sweep(tenant=tenant, now=timezone.now())
    return told
