"""Celery with a tenant on every task: put in the header when sent, set and cleared when run, refused when absent."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Celery, Task
from celery.exceptions import Reject
from django.conf import settings
from django.db import connection

HEADER = "piggy_tenant"

log = structlog.get_logger("piggy.tasks")


class UnableToSendTask(Exception):
    """A task was sent from no tenant's schema and named none."""


class UnableToRunTask(Exception):
    """A task came without a tenant's header, or with a tenant that is none."""


class TenantTask(Task):  # type: ignore[misc,type-arg]
    """A task of one tenant. Send it inside `in_tenant(...)`, or with `headers={"piggy_tenant": schema}`."""

    abstract = True
    # True for the platform's own chores, which run in public and fan out to tenants themselves.
    is_shared = False

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Send with the tenant's header; raises UnableToSendTask when there is none."""
        if not self.is_shared:
            options["headers"] = headers_with_tenant(options.get("headers"))
        return super().apply_async(args, kwargs, **options)

    def signature(self, *args: Any, **options: Any) -> Any:
        """A signature made inside a tenant stays its: a chord's callback is sent by the worker, outside any tenant."""
        made = super().signature(*args, **options)
        if not self.is_shared and connection.schema_name not in settings.TENANT_NAMES_RESERVED:
            made.options["headers"] = {HEADER: connection.schema_name, **(made.options.get("headers") or {})}
        return made

    def signature_from_request(self, request: Any = None, *args: Any, **options: Any) -> Any:
        """Retries keep the tenant of the try before."""
        signature = super().signature_from_request(request, *args, **options)
        tenant = tenant_of(request or self.request)
        if tenant:
            signature.options.setdefault("headers", {})[HEADER] = tenant
        return signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run inside the header's tenant and clear it afterwards, whatever happens."""
        from apps.tenants.services import in_tenant

        if self.is_shared:
            connection.set_schema_to_public()
            return super().__call__(*args, **kwargs)
        tenant = tenant_of(self.request)
        if not tenant or tenant in settings.TENANT_NAMES_RESERVED:
            log.error("task_without_tenant", task=self.name, task_id=self.request.id)
            if self.request.called_directly:
                raise UnableToRunTask(f"{self.name} was called without a tenant.")
            raise Reject(f"{self.name} has no tenant.", requeue=False)
        with in_tenant(tenant), structlog.contextvars.bound_contextvars(tenant=tenant, task=self.name):
            return super().__call__(*args, **kwargs)


class TenantCelery(Celery):
    """Celery whose every task is a TenantTask and whose send_task carries the tenant too."""

    task_cls = TenantTask  # type: ignore[assignment]

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """Send by name; a registered shared task needs no tenant, every other does."""
        task = self.tasks.get(name)
        if not getattr(task, "is_shared", False):
            options["headers"] = headers_with_tenant(options.get("headers"))
        return super().send_task(name, *args, **options)


def headers_with_tenant(headers: dict[str, Any] | None) -> dict[str, Any]:
    """Return a copy of `headers` that names the tenant: the one given, else the connection's schema."""
    named = dict(headers or {})
    tenant = named.setdefault(HEADER, connection.schema_name)
    if not tenant or tenant in settings.TENANT_NAMES_RESERVED:
        raise UnableToSendTask("A task must be sent inside a tenant, or name one in its header.")
    return named


def tenant_of(request: Any) -> str:
    """Return the tenant in the header of a task's request, or ''."""
    headers = getattr(request, "headers", None) or {}
    return str(headers.get(HEADER) or getattr(request, HEADER, None) or "")
