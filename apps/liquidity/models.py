"""Liquidity providers, the orders we gave them and every word they said about them."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from piggy.adapters.fix.config import DIALECTS, HEARTBEAT_S, ORDER_AGE_MS_MAX
from piggy.core import accounts as core

NAME = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", "Use letters, digits, - and _.")


class LiquidityProvider(models.Model):
    """One LP of this broker, reached by one FIX session; saving it through the services tells the engine."""

    name = models.CharField(max_length=20, unique=True, validators=[NAME])
    version = models.PositiveIntegerField(default=0, editable=False)
    enabled = models.BooleanField(default=True, help_text="Off: logged out and no longer routed to.")
    host = models.CharField(max_length=200, default="127.0.0.1")
    port = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(65_535)])
    sender_comp_id = models.CharField(max_length=64)
    target_comp_id = models.CharField(max_length=64)
    username = models.CharField(max_length=64, blank=True)
    dialect = models.CharField(max_length=20, default="standard", choices=[(name, name) for name in DIALECTS])
    heartbeat_s = models.PositiveIntegerField(default=HEARTBEAT_S, validators=[MinValueValidator(1)])
    order_age_ms_max = models.PositiveIntegerField(
        default=ORDER_AGE_MS_MAX, help_text="An order older than this when it could leave is refused, never sent."
    )
    priority = models.PositiveIntegerField(default=100, help_text="Lower is asked first among equals.")
    quote_age_ms_max = models.PositiveIntegerField(default=5_000, validators=[MinValueValidator(50)])
    commission_per_million = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(0), validators=[MinValueValidator(Decimal(0))]
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name

    def to_core(self) -> core.Venue:
        """Return the venue as routing sees it."""
        return core.Venue(
            name=self.name,
            enabled=self.enabled,
            priority=self.priority,
            quote_age_ms_max=self.quote_age_ms_max,
            symbols=tuple(self.symbols.filter(enabled=True).order_by("symbol").values_list("symbol", flat=True)),
            commission_per_million=self.commission_per_million,
        )


class LpSymbol(models.Model):
    """Our symbol under the LP's name, and how many of its units one lot is."""

    provider = models.ForeignKey(LiquidityProvider, on_delete=models.CASCADE, related_name="symbols")
    symbol = models.CharField(max_length=40)
    venue_symbol = models.CharField(max_length=40)
    units_per_lot = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(100_000), validators=[MinValueValidator(Decimal("1e-10"))]
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "symbol"], name="liquidity_symbol_once"),
            models.UniqueConstraint(fields=["provider", "venue_symbol"], name="liquidity_venue_symbol_once"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} as {self.venue_symbol}"


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
    cl_ord_id = models.CharField(max_length=100)
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
            )
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
    cl_ord_id = models.CharField(max_length=100, blank=True)
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
