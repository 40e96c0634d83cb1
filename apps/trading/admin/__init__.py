from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.accounts.selectors import ids_of_client
from apps.common.admin import ReadOnlyAdmin, SettingAdmin, badge, money, named, number, reason_of
from apps.instruments.selectors import digits
from apps.outbox.selectors import setting_history
from apps.tenants.selectors import current_schema
from apps.trading import selectors, services
from apps.trading.admin import decisions
from apps.trading.models import ChildOrder, Fill, Order, Position, Strategy

REASON = named("text", label="Reason", sortable=False)
LOTS = number("quantity", label="Lots", places="lot_digits")
FILLED = number("filled", places="lot_digits")


class DealtAdmin(ReadOnlyAdmin):
    """Rows about a symbol: prices and lots have its digits."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Find what is a client's by their name too: who asks on the telephone knows no account.

        Only for who may look at clients: what is found would tell whose an account is.
        """
        found, several = super().get_search_results(request, queryset, search_term)
        if search_term and "account_id" in self.search_fields and request.user.has_perm("accounts.view_client"):
            found |= queryset.filter(account_id__in=ids_of_client(words=search_term))
        return found, several

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Look the digits up with the rows."""
        return super().get_queryset(request).annotate(**digits())


@admin.register(Order)
class OrderAdmin(DealtAdmin):
    """The blotter: what was asked, what the gate said, where it went and why."""

    list_display = (
        "created_at",
        "order_id",
        named("account_id", label="Account"),
        "symbol",
        badge("side"),
        "type",
        LOTS,
        FILLED,
        number("average_price", digits=6, places="price_digits", label="Avg price"),
        badge("state"),
        REASON,
        named("mode", label="Book"),
        "group",
        "source",
    )
    list_filter = ("state", "mode", "side", "type", "source", "group")
    search_fields = ("order_id", "account_id", "symbol", "client_order_id", "text")
    search_help_text = "An order, account, symbol, client's name or reference, or words of the reason."
    ordering = ("-seq",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("order_id", badge("state"), REASON),
                    ("symbol", badge("side"), "type"),
                    (LOTS, FILLED, number("average_price", digits=6, places="price_digits")),
                    (number("limit_price", places="price_digits"), number("stop_price", places="price_digits")),
                    ("guaranteed_stop", "time_in_force"),
                    ("account_id", "group", "principal"),
                    ("source", "client_order_id", "seq"),
                    ("created_at", "updated_at"),
                )
            },
        ),
        ("Routing", {"fields": ("routing_shown",)}),
        ("Gate", {"fields": ("verdict_shown",)}),
        ("Legs at venues", {"fields": ("legs_shown",)}),
    )
    readonly_fields = ("routing_shown", "verdict_shown", "legs_shown")

    @admin.display(description="Decision")
    def routing_shown(self, order: Order) -> SafeString:
        """Show the decision and every venue that was considered."""
        return decisions.routing(selectors.decided(seq=order.seq, routed_seq=order.routed_seq).routing)

    @admin.display(description="Controls")
    def verdict_shown(self, order: Order) -> SafeString:
        """Show every check of the gate with its value and limit, refusals first."""
        decided = selectors.decided(seq=order.seq, routed_seq=order.routed_seq)
        return decisions.verdict(decided.verdict["checks"])

    @admin.display(description="Sent")
    def legs_shown(self, order: Order) -> SafeString:
        """Show what was sent to venues."""
        return decisions.legs(selectors.legs_of(order_id=order.order_id).values(*decisions.LEG_FIELDS))


@admin.register(ChildOrder)
class ChildOrderAdmin(DealtAdmin):
    list_display = (
        "created_at",
        "cl_ord_id",
        "venue",
        "symbol",
        badge("side"),
        LOTS,
        number("limit_price", label="Limit", places="price_digits"),
        badge("state"),
        FILLED,
        "venue_order_id",
        "code",
        REASON,
    )
    list_filter = ("venue", "state", "side")
    search_fields = ("cl_ord_id", "order_id", "venue_order_id", "symbol")
    ordering = ("-created_at",)


@admin.register(Fill)
class FillAdmin(DealtAdmin):
    list_display = (
        "filled_at",
        "fill_id",
        "order_id",
        named("account_id", label="Account"),
        "symbol",
        badge("side"),
        LOTS,
        number("price", places="price_digits"),
        number("raw_price", label="Street price", places="price_digits"),
        "book",
        "counterparty",
        money("realised"),
        money("commission"),
        money("premium"),
        money("guarantee_cost", label="House's cost"),
    )
    list_filter = ("book", "side", "counterparty")
    search_fields = ("fill_id", "order_id", "account_id", "symbol")
    ordering = ("-seq",)


@admin.register(Position)
class PositionAdmin(DealtAdmin):
    list_display = (
        "updated_at",
        "position_id",
        named("account_id", label="Account"),
        "symbol",
        LOTS,
        number("average_price", digits=6, places="price_digits", sortable=False),
        number("a_lots", label="A lots", places="lot_digits"),
        number("b_lots", label="B lots", places="lot_digits"),
        money("margin"),
        money("realised"),
    )
    search_fields = ("position_id", "account_id", "symbol")
    ordering = ("-updated_at",)


@admin.register(Strategy)
class StrategyAdmin(SettingAdmin):
    """Signal sources; saving tells the engine, effective on the next signal."""

    history_of = staticmethod(setting_history)

    list_display = (
        "strategy_id",
        "account_id",
        "enabled",
        "shadow",
        number("quantity_max"),
        "key_version",
        "previous_key_valid",
    )
    list_filter = ("enabled", "shadow")
    search_fields = ("strategy_id", "account_id")
    ordering = ("strategy_id",)
    readonly_fields = ("version", "refused_shown")

    @admin.display(description="Refused at the door")
    def refused_shown(self, strategy: Strategy) -> SafeString:
        """Show the latest signals in its name that became no command, and why."""
        return decisions.refused(selectors.refused_signals(tenant=current_schema(), strategy_id=strategy.strategy_id))

    def save_model(self, request: HttpRequest, obj: Strategy, form: Any, change: bool) -> None:
        """Write the strategy and tell the engine."""
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        by, reason = request.user.get_username(), reason_of(form)
        services.save_strategy(tenant=tenant, strategy=obj, by=by, reason=reason)
