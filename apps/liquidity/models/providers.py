"""Liquidity providers as the broker's staff set them up, and their names for our symbols."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from piggy.adapters.fix.config import DIALECTS, HEARTBEAT_S
from piggy.adapters.interface import ORDER_AGE_MS_MAX
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
