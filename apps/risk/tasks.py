from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.risk import services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant


@shared_task(queue="default", name="risk.protect_clients", is_shared=True)  # type: ignore[call-overload]
def protect_clients(**kwargs: Any) -> int:
    """Write every broker's notices of loss and keep its risk warning fresh; safe to repeat. Return how many notices."""
    noted, now = 0, timezone.now()
    for tenant in active_schemas():
        with in_tenant(tenant):
            noted += services.note_depreciations(tenant=tenant, at=now)
            services.measure_losses(tenant=tenant, at=now)
    return noted
