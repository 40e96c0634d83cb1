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
        # All events of a command are written at once and follow each other, so its first one stands for them: ids come
        # in no order, and every entry in their index costs as much as the rest of a row.
        constraints = [
            models.UniqueConstraint(
                fields=["command_id"], condition=models.Q(position=0), name="event_log_command_once"
            )
        ]

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


class EngineSnapshot(models.Model):
    """A part of a desk as it was after event `seq` (piggy/engine/snapshot_store.py); part 0 is the live one."""

    pk = models.CompositePrimaryKey("fold", "seq", "part")
    fold = models.TextField()
    seq = models.BigIntegerField()
    part = models.IntegerField()
    body = models.BinaryField()
    mac = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "engine_snapshot"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.seq}/{self.part}"


class EngineTape(models.Model):
    """A chunk of what the desk decided upon (piggy/messaging/tape.py); times are UTC microseconds.

    One that `starts` begins with where the desk stood. `seq` is the last event decided before the chunk ended.
    """

    begun_at_us = models.BigIntegerField(primary_key=True)
    ended_at_us = models.BigIntegerField()
    seq = models.BigIntegerField()
    starts = models.BooleanField()
    version = models.SmallIntegerField()
    body = models.BinaryField()

    class Meta:
        db_table = "engine_tape"
        default_permissions = ()

    def __str__(self) -> str:
        return f"tape from {self.begun_at_us}"


class LogCheckpoint(models.Model):
    """A signed head of the log's Merkle tree over its first `seq` events (piggy/messaging/tree_heads.py)."""

    seq = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    frontier = models.BinaryField()
    signed_at = models.DateTimeField()
    key_id = models.TextField()
    signature = models.BinaryField()

    class Meta:
        db_table = "log_checkpoint"
        ordering = ["seq"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"head of {self.seq}"


class DeadLetter(models.Model):
    """A message that could not be carried out in several deliveries, as it came; a person decides."""

    stream = models.TextField()
    entry = models.TextField()
    payload = models.BinaryField()
    reason = models.TextField()
    deliveries = models.IntegerField()
    buried_at = models.DateTimeField()

    class Meta:
        db_table = "dead_letter"
        default_permissions = ("view",)
        verbose_name = "dead letter"
        constraints = [models.UniqueConstraint(fields=["stream", "entry"], name="dead_letter_once")]

    def __str__(self) -> str:
        return f"{self.stream} {self.entry}"
