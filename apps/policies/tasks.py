from __future__ import annotations

from typing import Any

from celery import shared_task
from django.db import connection

from apps.policies import services


@shared_task(queue="default", name=services.LAB_TASK)  # type: ignore[call-overload]
def run_lab(*, run_id: int, **kwargs: Any) -> str:
    """Run one wish of the rule lab; a second delivery does nothing. Return how it ended."""
    tenant: str = connection.schema_name  # type: ignore[attr-defined]
    run = services.run_lab(tenant=tenant, run_id=run_id)
    return run.state if run else "not queued"
