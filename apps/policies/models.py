"""Policies of the desk: prices, margin, swaps, hedging, routing. Every version stays; one of each is live.

A draft is written by one person and let in by another; then the engine is told, and the next order sees it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import models

from piggy.core import commands as cmd
from piggy.core.clearance import Calendar, calendar_fault
from piggy.core.hedging import HedgePolicy, policy_fault
from piggy.core.margin import MarginSettings, settings_fault
from piggy.core.profiles import PriceProfile, profile_fault
from piggy.core.routing_rules import RoutingPolicy
from piggy.core.routing_rules import policy_fault as routing_fault
from piggy.core.swaps import SwapFree, SwapRates, rates_fault

ANY_SYMBOL = "*"


class UnableToReadPolicy(ValueError):
    """The body is no policy of its kind; the message says where."""


class Kind(models.TextChoices):
    PRICING = "pricing"
    MARGIN = "margin"
    SWAPS = "swaps"
    SWAP_FREE = "swap-free"
    HEDGING = "hedging"
    ROUTING = "routing"
    CALENDAR = "calendar"


STRUCTS: dict[str, type[msgspec.Struct]] = {
    Kind.PRICING: PriceProfile,
    Kind.MARGIN: MarginSettings,
    Kind.SWAPS: SwapRates,
    Kind.SWAP_FREE: SwapFree,
    Kind.HEDGING: HedgePolicy,
    Kind.ROUTING: RoutingPolicy,
    Kind.CALENDAR: Calendar,
}
# What names a policy of each kind beside the kind itself.
OF_GROUP = (Kind.PRICING, Kind.MARGIN, Kind.SWAP_FREE)
OF_SYMBOL = (Kind.PRICING, Kind.MARGIN, Kind.SWAPS, Kind.HEDGING, Kind.CALENDAR)
# What the row itself says is not written in the body.
FROM_ROW = ("version", "symbol", "key")


class Policy(models.Model):
    """One version of one policy; `body` is the core's struct as JSON, decimals as text."""

    class State(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        REPLACED = "replaced"
        WITHDRAWN = "withdrawn"

    kind = models.CharField(max_length=10, choices=Kind.choices, editable=False)
    group = models.CharField(max_length=60, blank=True)
    symbol = models.CharField(max_length=40, blank=True, help_text=f"{ANY_SYMBOL}: every symbol without its own.")
    version = models.PositiveIntegerField(editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT, editable=False)
    body = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=500)
    written_by = models.CharField(max_length=150, editable=False)
    written_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=150, blank=True, editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["kind", "group", "symbol", "version"], name="policy_version_once"),
            models.UniqueConstraint(
                fields=["kind", "group", "symbol"], name="policy_one_live", condition=models.Q(state="live")
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["live", "replaced"]) | ~models.Q(decided_by=models.F("written_by")),
                name="policy_by_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.group} {self.symbol} v{self.version}"

    @property
    def is_saved(self) -> bool:
        """Whether it has a row already."""
        return not self._state.adding

    @property
    def reference(self) -> str:
        """The policy's name in the outbox, the same for every version."""
        return f"policy:{self.kind}:{self.group}:{self.symbol}"

    def to_core(self) -> Any:
        """Return the core's struct. Raises UnableToReadPolicy."""
        struct = STRUCTS[self.kind]
        given = dict(self.body)
        if self.kind == Kind.HEDGING:
            given["key"] = given.get("key") or self.symbol
        own = {"version": self.version, "symbol": self.symbol}
        given |= {name: value for name, value in own.items() if name in struct.__struct_fields__}
        try:
            made = msgspec.convert(given, type=struct, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise UnableToReadPolicy(str(error)) from error
        if unknown := sorted(set(given) - set(struct.__struct_fields__)):
            raise UnableToReadPolicy(
                f"There is no field {unknown[0]}; there are {', '.join(struct.__struct_fields__)}."
            )
        if fault := _fault(made):
            raise UnableToReadPolicy(fault)
        return made

    def to_command(self) -> cmd.AnyCommand:
        """Return what the engine is told when this version goes live."""
        made = self.to_core()
        if self.kind == Kind.PRICING:
            return cmd.ConfigurePricing(group=self.group, symbol=self.symbol, profile=made)
        if self.kind == Kind.MARGIN:
            return cmd.ConfigureMargin(group=self.group, symbol=self.symbol, settings=made)
        if self.kind == Kind.SWAPS:
            return cmd.ConfigureSwaps(rates=made)
        if self.kind == Kind.SWAP_FREE:
            return cmd.ConfigureSwapFree(group=self.group, terms=made)
        if self.kind == Kind.HEDGING:
            return cmd.ConfigureHedging(policy=made)
        if self.kind == Kind.CALENDAR:
            return cmd.ConfigureCalendar(calendar=made)
        return cmd.ConfigureRouting(policy=made)


class LabRun(models.Model):
    """A recorded window replayed as it was and, where there are drafts, under them; `differences` is CSV, zlib."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    UNDER_WAY = (State.QUEUED, State.RUNNING)

    begins_at = models.DateTimeField(help_text="UTC. The recorded time that is replayed begins here.")
    ends_at = models.DateTimeField(help_text="UTC, excluded; at most 24 hours later.")
    drafts = models.ManyToManyField(Policy, blank=True, related_name="+", help_text="None: only check the recording.")
    currency = models.CharField(max_length=3, default="USD", help_text="What money is shown in.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, editable=False)
    progress = models.PositiveSmallIntegerField(default=0, editable=False)
    asked_by = models.CharField(max_length=150, editable=False)
    asked_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=500, blank=True, editable=False)
    check_result = models.JSONField(default=dict, editable=False)
    result = models.JSONField(default=dict, editable=False)
    first_differences = models.JSONField(default=list, editable=False)
    differences = models.BinaryField(default=b"", editable=False)

    class Meta:
        verbose_name = "rule lab run"
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("begins_at")), name="lab_run_has_a_length")
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of {self.begins_at:%Y-%m-%d %H:%M}"


def _fault(made: Any) -> str:
    if isinstance(made, PriceProfile):
        return profile_fault(profile=made)
    if isinstance(made, MarginSettings):
        return settings_fault(settings=made) or ""
    if isinstance(made, SwapRates):
        return rates_fault(rates=made)
    if isinstance(made, HedgePolicy):
        return policy_fault(policy=made)
    if isinstance(made, Calendar):
        return calendar_fault(calendar=made) or ""
    if isinstance(made, RoutingPolicy):
        found = routing_fault(policy=made)
        return ": ".join(found) if found else ""
    return ""


def _proxy(name: str, kind: Kind, title: str) -> type[Policy]:
    meta = type("Meta", (), {"proxy": True, "verbose_name": title, "verbose_name_plural": f"{title}s"})
    return type(name, (Policy,), {"__module__": __name__, "Meta": meta, "KIND": kind})


PriceProfilePolicy = _proxy("PriceProfilePolicy", Kind.PRICING, "price profile")
MarginPolicy = _proxy("MarginPolicy", Kind.MARGIN, "margin setting")
SwapPolicy = _proxy("SwapPolicy", Kind.SWAPS, "swap rate")
SwapFreePolicy = _proxy("SwapFreePolicy", Kind.SWAP_FREE, "swap-free group")
HedgingPolicy = _proxy("HedgingPolicy", Kind.HEDGING, "hedging policy")
RoutingRules = _proxy("RoutingRules", Kind.ROUTING, "routing rule set")
CalendarPolicy = _proxy("CalendarPolicy", Kind.CALENDAR, "trading calendar")
