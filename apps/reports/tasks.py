from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task

from apps.reports import selectors, services
from apps.tenants.selectors import active_schemas

log = structlog.get_logger(__name__)


@shared_task(queue="default", name="reports.export_logs", is_shared=True)  # type: ignore[call-overload]
def export_logs(**kwargs: Any) -> int:
    """Add what is new in every broker's log to the files; safe to repeat. Return how many events.

    A broker whose log or files are not whole waits, and no other with it.
    """
    added = 0
    for tenant in active_schemas():
        try:
            added += services.export(tenant=tenant, folder=selectors.default_folder()).events
        except services.CAUSES as error:
            log.warning("export_waits", tenant=tenant, reason=str(error))
    return added
