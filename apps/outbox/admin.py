from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin
from apps.outbox.models import OutboxCommand


@admin.register(OutboxCommand)
class OutboxCommandAdmin(ReadOnlyAdmin):
    """What the engine was told, and when its event was seen in the log."""

    list_display = ("created_at", "kind", "reference", "principal", "told_count", "heard_at", "superseded")
    list_filter = ("kind", "superseded", ("heard_at", admin.EmptyFieldListFilter))
    search_fields = ("reference", "command_id", "principal")
    ordering = ("-id",)
    exclude = ("payload",)
