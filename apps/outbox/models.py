"""Commands on their way from a tenant's tables to its engine."""

from __future__ import annotations

from django.db import models


class OutboxCommand(models.Model):
    """A command written beside the row that it is about; told to the engine until its event is in the log.

    `reference` names the thing told about ("group:b-book"); a newer row of the same reference supersedes an untold one.
    """

    command_id = models.UUIDField(unique=True)
    reference = models.CharField(max_length=200)
    kind = models.CharField(max_length=60)
    principal = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    payload = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    told_count = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)
    superseded = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], name="outbox_waiting", condition=models.Q(heard_at__isnull=True, superseded=False)
            ),
            models.Index(fields=["reference", "id"], name="outbox_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"
