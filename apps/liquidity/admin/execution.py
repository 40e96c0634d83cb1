from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import StackedInline
from unfold.decorators import display

from apps.common.admin import TONES, KeptAdmin, ReadOnlyAdmin, badge, number
from apps.common.structures import WrittenStructures
from apps.instruments.selectors import digits
from apps.liquidity import services
from apps.liquidity.models import ExecutionPolicy, RouteQuote, RoutingRule, StageChange, VenueScorecard
from apps.tenants.selectors import current_schema

# What the columns say of a card; its nested figures are among them.
SHOWN = {
    "state", "up_percent", "trading_state", "quote_age_ms", "unread", "rejects", "orders", "reject_rate", "fill_ratio",
    "latency_ms", "hold_ms", "markouts", "venue",
}  # fmt: skip


class RoutingRuleInline(WrittenStructures, StackedInline):
    model = RoutingRule
    extra = 0


@admin.register(ExecutionPolicy)
class ExecutionPolicyAdmin(KeptAdmin):
    """The cost model and the rules; saving makes a new version, by which the next order is routed."""

    list_display = ("__str__", "fee", "reject_bps", "unfilled_bps", "latency_bps_per_s", "markout", "updated_at")
    readonly_fields = ("version", "updated_at")
    inlines = (RoutingRuleInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """One a broker."""
        return super().has_add_permission(request) and not ExecutionPolicy.objects.exists()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write the rules, then tell the whole to the engine."""
        super().save_related(request, form, formsets, change)
        services.tell_policy(tenant=current_schema(), policy=form.instance, by=request.user.get_username())


@admin.register(VenueScorecard)
class VenueScorecardAdmin(ReadOnlyAdmin):
    """How each venue served, minute by minute."""

    list_display = (
        "taken_at",
        "venue",
        "state",
        "quote_age",
        "unread",
        "rejects",
        "fill_ratio",
        "latency",
        "hold",
        "markouts",
    )
    list_filter = ("venue",)
    search_fields = ("venue",)
    ordering = ("-taken_at", "venue")
    date_hierarchy = "taken_at"
    fields = (
        ("taken_at", "venue", "state"),
        ("quote_age", "unread", "rejects"),
        ("fill_ratio", "latency", "hold"),
        "markouts",
        "more",
    )

    @admin.display(description="Connection")
    def state(self, row: VenueScorecard) -> str:
        """Show the session and how long it was up."""
        return f"{row.card['state']}, up {row.card['up_percent']} %, route {row.card['trading_state']}"

    @admin.display(description="Quote age ms")
    def quote_age(self, row: VenueScorecard) -> Any:
        """Show the age of the freshest quote."""
        return _right(row.card["quote_age_ms"])

    @admin.display(description="Unread")
    def unread(self, row: VenueScorecard) -> Any:
        """Show how much of what the venue wrote nobody could read; cards kept before that was counted say nothing."""
        return _right(row.card.get("unread"))

    @admin.display(description="Rejects")
    def rejects(self, row: VenueScorecard) -> str:
        """Show rejects of orders, and the rate of the latest."""
        return f"{row.card['rejects']} of {row.card['orders']}, lately {row.card['reject_rate']}"

    @admin.display(description="Fill ratio")
    def fill_ratio(self, row: VenueScorecard) -> Any:
        """Show the share of lots that was filled."""
        return _right(row.card["fill_ratio"])

    @admin.display(description="Latency ms")
    def latency(self, row: VenueScorecard) -> str:
        """Show how long it took to acknowledge."""
        return _figures(row.card["latency_ms"])

    @admin.display(description="Hold ms")
    def hold(self, row: VenueScorecard) -> str:
        """Show how long it took to fill or refuse."""
        return _figures(row.card["hold_ms"])

    @admin.display(description="Markouts: bp lost (fills)")
    def markouts(self, row: VenueScorecard) -> str:
        """Show what fills were worth later, each with its sample size."""
        found = [each for each in row.card["markouts"] if each["samples"]]
        return ", ".join(f"{each['after_ms'] / 1_000:g} s: {each['mean_bps']} ({each['samples']})" for each in found)

    @admin.display(description="Also")
    def more(self, row: VenueScorecard) -> str:
        """Show every other figure of the card."""
        return " · ".join(f"{name.replace('_', ' ')} {row.card[name]}" for name in sorted(row.card.keys() - SHOWN))


@admin.register(StageChange)
class StageChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "provider", badge("before"), badge("after"), "reason", "by")
    list_filter = ("provider", "after")
    ordering = ("-at",)


@admin.register(RouteQuote)
class RouteQuoteAdmin(ReadOnlyAdmin):
    """What each venue offered for each order, those on trial too."""

    list_display = (
        "decided_at",
        "order_id",
        "venue",
        "asked",
        "symbol",
        "side",
        number("lots", places="lot_digits"),
        number("price", places="price_digits"),
        number("best_price", label="First choice", places="price_digits"),
        number("filled", places="lot_digits"),
    )
    list_filter = ("venue", "asked", "symbol")
    search_fields = ("order_id",)
    ordering = ("-seq", "venue")
    exclude = ("sign",)
    readonly_fields = ("side",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RouteQuote]:
        """Look the digits of each symbol up with the rows."""
        return super().get_queryset(request).annotate(**digits())

    @display(description="side", label=dict(TONES))
    def side(self, row: RouteQuote) -> str:
        """Say which way the client dealt."""
        return "buy" if row.sign > 0 else "sell"


def _right(value: Any) -> SafeString | str:
    """Return a card's figure as it was kept, right under the others; nothing where the card has none."""
    return "" if value is None else format_html('<span class="figure">{}</span>', value)


def _figures(figures: dict[str, Any]) -> str:
    return f"{figures['p50']} / {figures['p95']} ({figures['samples']})" if figures["samples"] else ""
