from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import TabularInline

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge, number
from apps.liquidity import services
from apps.liquidity.models import LiquidityProvider, LpSymbol, VenueOrder, VenueReport
from apps.tenants.selectors import current_schema


class LpSymbolInline(TabularInline):
    model = LpSymbol
    extra = 0
    fields = ("symbol", "venue_symbol", "units_per_lot", "enabled")


@admin.register(LiquidityProvider)
class LiquidityProviderAdmin(KeptAdmin):
    """An LP's session, priority and symbols; saving tells the engine and the FIX worker, no restart."""

    list_display = (
        "name",
        "version",
        "enabled",
        "priority",
        "host",
        "port",
        "dialect",
        "quote_age_ms_max",
        "updated_at",
    )
    list_filter = ("enabled", "dialect")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("version", "updated_at")
    inlines = (LpSymbolInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A name that orders have recorded is fixed."""
        return (*self.readonly_fields, "name") if obj else self.readonly_fields

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write the symbols, then tell the whole to the engine."""
        super().save_related(request, form, formsets, change)
        services.tell_provider(tenant=current_schema(), provider=form.instance, by=request.user.get_username())


@admin.register(VenueOrder)
class VenueOrderAdmin(ReadOnlyAdmin):
    list_display = (
        "cl_ord_id",
        "venue",
        "symbol",
        badge("side"),
        number("quantity", label="Lots"),
        number("limit_price", label="Limit"),
        number("filled"),
        badge("state"),
        "created_at",
    )
    list_filter = ("venue", "state", "symbol")
    search_fields = ("cl_ord_id", "order_id")
    ordering = ("-id",)


@admin.register(VenueReport)
class VenueReportAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "venue", badge("kind"), "cl_ord_id", "note", "repeats", "heard_at")
    list_filter = ("venue", "kind")
    search_fields = ("cl_ord_id", "key")
    ordering = ("-id",)
    exclude = ("envelope",)
