from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, number
from apps.trading import selectors, services
from apps.trading.models import ChildOrder, Fill, Order, Position, Strategy

TABLE = '<table class="w-full"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
VENUE_COLUMNS = ("rank", "venue", "price", "size", "quote_age_ms", "reject_rate", "priority", "cost", "text")
CHECK_COLUMNS = ("code", "passed", "value", "limit", "text")
LEG_COLUMNS = ("attempt", "cl_ord_id", "venue", "quantity", "limit_price", "state", "filled", "venue_order_id", "text")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """The blotter: what was asked, what the gate said, where it went and why."""

    list_display = (
        "created_at",
        "order_id",
        "account_id",
        "symbol",
        "side",
        "type",
        number("quantity"),
        number("filled"),
        number("average_price", digits=6),
        "state",
        "mode",
        "group",
        "source",
        "text",
    )
    list_filter = ("state", "mode", "side", "type", "source", "group")
    search_fields = ("order_id", "account_id", "symbol", "client_order_id", "text")
    ordering = ("-seq",)
    fields = (
        ("order_id", "seq", "created_at", "updated_at"),
        ("account_id", "group", "principal", "source", "client_order_id"),
        ("symbol", "side", "type", "time_in_force"),
        ("quantity", "limit_price", "stop_price"),
        ("state", "filled", "average_price"),
        "text",
        "routing_shown",
        "verdict_shown",
        "legs_shown",
    )
    readonly_fields = ("routing_shown", "verdict_shown", "legs_shown")

    @admin.display(description="Routing")
    def routing_shown(self, order: Order) -> SafeString:
        """Show the decision and every venue that was considered."""
        routing = order.routing
        if not routing:
            return format_html("{}", "Not routed.")
        head = format_html(
            "<p>Rule {} version {}: {}. A {} lots, B {} lots, crossed {} lots.</p><p>{}</p>",
            routing["rule"],
            routing["version"],
            routing["mode"],
            routing["a_quantity"],
            routing["b_quantity"],
            routing["cross_quantity"],
            routing["text"],
        )
        return head + _table(VENUE_COLUMNS, routing["considered"])

    @admin.display(description="Gate")
    def verdict_shown(self, order: Order) -> SafeString:
        """Show every check of the gate with its value and limit."""
        return _table(CHECK_COLUMNS, order.verdict.get("checks", ()))

    @admin.display(description="Legs at venues")
    def legs_shown(self, order: Order) -> SafeString:
        """Show what was sent to venues."""
        return _table(LEG_COLUMNS, selectors.legs_of(order_id=order.order_id).values(*LEG_COLUMNS))


@admin.register(ChildOrder)
class ChildOrderAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "cl_ord_id",
        "venue",
        "symbol",
        "side",
        number("quantity"),
        number("limit_price"),
        "state",
        number("filled"),
        "venue_order_id",
        "code",
        "text",
    )
    list_filter = ("venue", "state", "side")
    search_fields = ("cl_ord_id", "order_id", "venue_order_id", "symbol")
    ordering = ("-created_at",)


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    list_display = (
        "filled_at",
        "fill_id",
        "order_id",
        "account_id",
        "symbol",
        "side",
        number("quantity"),
        number("price"),
        number("raw_price"),
        "book",
        "counterparty",
        number("realised"),
        number("commission"),
    )
    list_filter = ("book", "side", "counterparty")
    search_fields = ("fill_id", "order_id", "account_id", "symbol")
    ordering = ("-seq",)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = (
        "updated_at",
        "position_id",
        "account_id",
        "symbol",
        number("quantity"),
        number("average_price", digits=6, sortable=False),
        number("a_lots", label="A lots"),
        number("b_lots", label="B lots"),
        number("margin"),
        number("realised"),
    )
    search_fields = ("position_id", "account_id", "symbol")
    ordering = ("-updated_at",)


@admin.register(Strategy)
class StrategyAdmin(KeptAdmin):
    """Signal sources; saving tells the engine, effective on the next signal."""

    list_display = ("strategy_id", "account_id", "enabled", number("quantity_max"), "key_version", "previous_key_valid")
    list_filter = ("enabled",)
    search_fields = ("strategy_id", "account_id")
    ordering = ("strategy_id",)
    readonly_fields = ("version",)

    def save_model(self, request: HttpRequest, obj: Strategy, form: Any, change: bool) -> None:
        """Write the strategy and tell the engine."""
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        services.save_strategy(tenant=tenant, strategy=obj, by=request.user.get_username())


def _table(columns: tuple[str, ...], rows: Any) -> SafeString:
    head = format_html_join("", "<th>{}</th>", ((column.replace("_", " "),) for column in columns))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(columns, row),) for row in rows))
    return format_html(TABLE, head, body)


def _cells(columns: tuple[str, ...], row: dict[str, Any]) -> SafeString:
    return format_html_join("", "<td>{}</td>", (("" if row.get(name) is None else row[name],) for name in columns))
