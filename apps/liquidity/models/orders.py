"""Orders that we gave to LPs and every word they said about them."""

from __future__ import annotations

from decimal import Decimal

from django.db import models


class VenueOrder(models.Model):
    """An order for one LP, committed before it leaves: a row that exists is never sent again."""

    class State(models.TextChoices):
        PERSISTED = "persisted"  # Written; whether it left is not known.
        SENT = "sent"
        WORKING = "working"
        DOUBT = "doubt"
        DONE = "done"
        REFUSED = "refused"  # By us: it never left.

    venue = models.CharField(max_length=20)
    cl_ord_id = models.CharField("ClOrdID", max_length=100)
    client_id = models.CharField(max_length=128, blank=True, help_text="What the LP knows the order by.")
    order_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4)
    quantity = models.DecimalField(max_digits=28, decimal_places=10)
    limit_price = models.DecimalField(max_digits=28, decimal_places=10)
    time_in_force = models.CharField(max_length=4)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PERSISTED)
    filled = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(0))
    doubts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "cl_ord_id"], name="liquidity_order_once")]
        indexes = [
            models.Index(
                fields=["venue"],
                name="liquidity_order_open",
                condition=models.Q(state__in=["persisted", "sent", "working", "doubt"]),
            ),
            models.Index(fields=["venue", "client_id"], name="liquidity_order_client_id"),
        ]

    def __str__(self) -> str:
        return self.cl_ord_id


class VenueReport(models.Model):
    """What an LP said, as it said it, kept before anything else happens; `envelope` is what the engine is told of it.

    `key` makes a report unique at its venue, however often it comes. A report nobody could read has kind `parked`.
    """

    venue = models.CharField(max_length=20)
    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=10)
    cl_ord_id = models.CharField("ClOrdID", max_length=100, blank=True)
    raw = models.TextField(blank=True)
    note = models.CharField(max_length=300, blank=True)
    repeats = models.PositiveIntegerField(default=0)
    command_id = models.UUIDField(null=True, blank=True)
    envelope = models.BinaryField(null=True, blank=True)
    told_count = models.PositiveIntegerField(default=0)
    heard_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "key"], name="liquidity_report_once")]
        indexes = [
            models.Index(
                fields=["received_at"],
                name="liquidity_report_untold",
                condition=models.Q(heard_at__isnull=True, command_id__isnull=False),
            ),
            models.Index(fields=["cl_ord_id"], name="liquidity_report_order"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
