"""Best execution as staff set it: the cost model, the routing rules, and when a canary has failed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.liquidity.models.providers import LiquidityProvider
from piggy.core import routing_rules as core
from piggy.core.accounts import BookMode

ZERO, HUNDRED = Decimal(0), Decimal(100)
MODES = [(mode.value, mode.value) for mode in BookMode]
HORIZONS = [(100, "0.1 s"), (1_000, "1 s"), (10_000, "10 s"), (60_000, "60 s"), (300_000, "300 s")]


def _weight(help_text: str) -> models.DecimalField:  # type: ignore[type-arg]
    low = [MinValueValidator(ZERO)]
    return models.DecimalField(max_digits=28, decimal_places=10, default=ZERO, validators=low, help_text=help_text)


class ExecutionPolicy(models.Model):
    """One row a broker: what a venue costs beyond its price. Every change is a new version, in force at once."""

    version = models.PositiveIntegerField(default=0, editable=False)
    fee = _weight("How much of a venue's commission counts: 1 is all of it.")
    reject_bps = _weight("What a reject rate of 1 would cost, in basis points.")
    unfilled_bps = _weight("What a fill ratio of 0 would cost, in basis points.")
    latency_bps_per_s = _weight("What a second of delay costs, in basis points.")
    markout = _weight("How much of a venue's measured markout counts: 1 is all of it.")
    markout_after_ms = models.PositiveIntegerField(default=10_000, choices=HORIZONS)
    markout_samples_min = models.PositiveIntegerField(
        default=30, validators=[MinValueValidator(2)], help_text="With fewer fills a venue's markout counts as 0."
    )
    canary_fills_min = models.PositiveIntegerField(
        default=50, validators=[MinValueValidator(1)], help_text="A canary's cost is judged from so many fills on."
    )
    canary_worse_bps_max = models.DecimalField(
        max_digits=28,
        decimal_places=10,
        default=Decimal("0.5"),
        validators=[MinValueValidator(ZERO)],
        help_text="Dearer than the live venues by more, a canary goes back to shadow.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "execution policy"

    def __str__(self) -> str:
        return f"Execution policy, version {self.version}"

    def to_core(self) -> core.RoutingPolicy:
        """Return the engine's copy of the policy with its rules."""
        model = core.CostModel(
            version=self.version,
            fee=self.fee,
            reject_bps=self.reject_bps,
            unfilled_bps=self.unfilled_bps,
            latency_bps_per_s=self.latency_bps_per_s,
            markout=self.markout,
        )
        rules = tuple(rule.to_core() for rule in self.rules.order_by("priority", "name"))
        return core.RoutingPolicy(version=self.version, rules=rules, cost_model=model)


class RoutingRule(models.Model):
    """One rule: the first that matches, by priority, decides which book takes an order."""

    policy = models.ForeignKey(ExecutionPolicy, on_delete=models.CASCADE, related_name="rules")
    name = models.CharField(max_length=60)
    priority = models.PositiveIntegerField(default=100)
    enabled = models.BooleanField(default=True)
    book_mode = models.CharField(max_length=5, choices=MODES, default=BookMode.A.value)
    a_book_percent = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        default=HUNDRED,
        validators=[MinValueValidator(ZERO), MaxValueValidator(HUNDRED)],
    )
    internal_cross = models.BooleanField(default=True)
    b_net_max_lots = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    accounts = models.JSONField(default=list, blank=True, help_text="None means any.")
    groups = models.JSONField(default=list, blank=True)
    symbols = models.JSONField(default=list, blank=True)
    lots_min = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    lots_max = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    markout_score_min = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "name"], name="liquidity_rule_once")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raise ValidationError naming the field that is no list of texts."""
        for field in ("accounts", "groups", "symbols"):
            value: Any = getattr(self, field)
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ValidationError({field: 'A list of texts: ["EURUSD", "GBPUSD"].'})

    def to_core(self) -> core.RoutingRule:
        """Return the engine's copy of the rule."""
        return core.RoutingRule(
            name=self.name,
            priority=self.priority,
            book_mode=BookMode(self.book_mode),
            conditions=core.Conditions(
                accounts=tuple(self.accounts),
                groups=tuple(self.groups),
                symbols=tuple(self.symbols),
                lots_min=self.lots_min,
                lots_max=self.lots_max,
                markout_score_min=self.markout_score_min,
            ),
            a_book_percent=self.a_book_percent,
            internal_cross=self.internal_cross,
            b_net_max_lots=self.b_net_max_lots,
            enabled=self.enabled,
        )


class VenueScorecard(models.Model):
    """How a venue served, as the engine measured it, kept once a minute."""

    venue = models.CharField(max_length=20)
    taken_at = models.DateTimeField()
    card = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "taken_at"], name="liquidity_scorecard_once")]

    def __str__(self) -> str:
        return f"{self.venue} at {self.taken_at:%Y-%m-%d %H:%M}"


class StageChange(models.Model):
    """A venue went from shadow to canary to live, or back; `by` is 'automatic' where the figures decided."""

    provider = models.ForeignKey(LiquidityProvider, on_delete=models.CASCADE, related_name="stage_changes")
    before = models.CharField(max_length=6)
    after = models.CharField(max_length=6)
    reason = models.CharField(max_length=300)
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.provider}: {self.before} to {self.after}"


class RouteQuote(models.Model):
    """What one venue offered for one routing decision, and what it then filled: projected from the log.

    `asked` tells a venue that could be sent the order from a shadow; prices are raw, `cost` is on top of them;
    `best_price` and `best_cost` are the first choice's among the asked.
    """

    seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    venue = models.CharField(max_length=40)
    order_id = models.CharField(max_length=60, db_index=True)
    symbol = models.CharField(max_length=40)
    sign = models.SmallIntegerField()
    asked = models.BooleanField()
    lots = models.DecimalField(max_digits=28, decimal_places=10)
    price = models.DecimalField(max_digits=28, decimal_places=10)
    size = models.DecimalField(max_digits=28, decimal_places=10)
    cost = models.DecimalField(max_digits=28, decimal_places=10)
    best_price = models.DecimalField(max_digits=28, decimal_places=10)
    best_cost = models.DecimalField(max_digits=28, decimal_places=10)
    filled = models.DecimalField(max_digits=28, decimal_places=10, default=ZERO)
    notional = models.DecimalField(max_digits=38, decimal_places=10, default=ZERO)
    fills = models.PositiveIntegerField(default=0)
    decided_at = models.DateTimeField()

    class Meta:
        verbose_name = "venue on trial"
        verbose_name_plural = "venues on trial"
        constraints = [models.UniqueConstraint(fields=["seq", "venue"], name="liquidity_route_once")]
        indexes = [models.Index(fields=["venue", "decided_at"], name="liquidity_route_venue")]

    def __str__(self) -> str:
        return f"{self.venue} for {self.order_id}"
