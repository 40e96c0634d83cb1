"""Background work. Every task runs inside the tenant named in its header; a task without one is refused.

celery -A piggy.celery worker -Q default
celery -A piggy.celery worker --fix -P threads -Q fix       the worker that also runs the FIX sessions
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from celery import bootsteps
from click import Option

from apps.common.tasking import TenantCelery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "piggy.settings.dev")

# Sessions with LPs, and the door for clients.
WORKERS = ("apps.liquidity.worker", "apps.gateway.worker")

app = TenantCelery("piggy")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # A web process sends from threads of its own.
app.user_options["worker"].add(
    Option(("--fix",), is_flag=True, default=False, help="Run the FIX sessions of this shard's tenants.")
)


class FixSessions(bootsteps.StartStopStep):
    """Start the FIX sessions with the worker and log them out before it ends; never a session inside a task."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, fix: bool = False, **options: Any) -> None:
        super().__init__(parent, **options)
        self.enabled = bool(fix)

    def include_if(self, parent: Any) -> bool:
        """Only with --fix."""
        return self.enabled

    def start(self, parent: Any) -> None:
        """Run what each worker package says; it returns when the sessions are started."""
        for name in WORKERS:
            import_module(name).run()

    def stop(self, parent: Any) -> None:
        """Log out and wait."""
        for name in reversed(WORKERS):
            import_module(name).stop()

    def terminate(self, parent: Any) -> None:
        """As stop: a session is always logged out."""
        self.stop(parent)


app.steps["worker"].add(FixSessions)
