"""Rows of the append-only event log (written by the engine alone) and the cursors of its readers."""

from __future__ import annotations

from django.db import models


class EventLogRow(models.Model):
    """One committed event. `payload` is msgpack; hash = sha256(prev_hash, canonical header, payload)."""

    seq = models.BigIntegerField(primary_key=True)
    command_id = models.UUIDField()
    position = models.SmallIntegerField()
    type = models.TextField()
    version = models.SmallIntegerField()
    principal = models.TextField()
    request_hash = models.TextField()
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    recorded_mono_ns = models.BigIntegerField()
    payload = models.BinaryField()
    prev_hash = models.BinaryField()
    hash = models.BinaryField()

    class Meta:
        db_table = "event_log"
        ordering = ["seq"]
        default_permissions = ("view",)
        verbose_name = "event"
        constraints = [models.UniqueConstraint(fields=["command_id", "position"], name="event_log_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.type}"


class ProjectionCursor(models.Model):
    """The last seq a reader has turned into rows; moved in the same transaction as those rows."""

    name = models.TextField(primary_key=True)
    seq = models.BigIntegerField(default=0)

    class Meta:
        db_table = "projection_cursor"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.name} at {self.seq}"
