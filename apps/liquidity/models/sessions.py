"""What a FIX session must remember: its sequence numbers and every message, secrets masked."""

from __future__ import annotations

from django.db import models


class FixNumbers(models.Model):
    """The sequence numbers of one LP's session; never above what is kept, never below what may have been used."""

    venue = models.CharField(max_length=20, unique=True)
    incoming = models.BigIntegerField(default=1, help_text="Expected next from the LP.")
    outgoing = models.BigIntegerField(default=1, help_text="The first that a later session may use.")
    begun_at = models.DateTimeField(null=True, help_text="When both began at 1; empty: before that was kept.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "FIX numbers"

    def __str__(self) -> str:
        return self.venue


class FixMessage(models.Model):
    """A message as it went over the wire, but quotes and heartbeats; reports are kept as VenueReport."""

    venue = models.CharField(max_length=20)
    way = models.CharField(max_length=3, choices=[("IN", "in"), ("OUT", "out"), ("NOT", "not sent again")])
    text = models.TextField()
    at = models.DateTimeField()

    class Meta:
        verbose_name = "FIX message"
        indexes = [models.Index(fields=["venue", "-at"], name="liquidity_fix_message_at")]

    def __str__(self) -> str:
        return f"{self.venue} {self.way} {self.at:%Y-%m-%d %H:%M:%S.%f}"
