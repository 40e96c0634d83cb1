from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.liquidity import services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant


@shared_task(queue="default", name="liquidity.watch_execution", is_shared=True)  # type: ignore[call-overload]
def watch_execution(**kwargs: Any) -> int:
    """Keep every broker's scorecards and send failed canaries back; safe to repeat. Return how many went back."""
    returned = 0
    for tenant in active_schemas():
        with in_tenant(tenant):
            services.keep_scorecards(tenant=tenant, now=timezone.now())
            returned += len(services.review_canaries(tenant=tenant, now=timezone.now()))
    return returned
