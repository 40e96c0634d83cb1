from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline

from apps.common.admin import ReadOnlyAdmin, SettingAdmin, badge, number, reason_of
from apps.liquidity import selectors, services
from apps.liquidity.models import FixMessage, FixNumbers, LiquidityProvider, LpSymbol, VenueOrder, VenueReport
from apps.outbox.selectors import setting_history
from apps.tenants.selectors import current_schema

REASON_MAX = 500
# The session's own: the engine is not told of these.
OF_THE_WORKER = (
    "kind",
    "host",
    "port",
    "sender_comp_id",
    "target_comp_id",
    "username",
    "rest_url",
    "stream_url",
    "account",
    "settings",
    "dialect",
    "heartbeat_s",
    "order_age_ms_max",
)


class LpSymbolInline(TabularInline):
    model = LpSymbol
    extra = 0
    fields = ("symbol", "venue_symbol", "units_per_lot", "enabled")


@admin.register(LiquidityProvider)
class LiquidityProviderAdmin(SettingAdmin):
    """An LP's session, priority and symbols; saving tells the engine and the worker, no restart."""

    history_of = staticmethod(setting_history)

    list_display = (
        "name",
        "kind",
        "version",
        "enabled",
        badge("stage"),
        "priority",
        "host",
        "port",
        "dialect",
        "quote_age_ms_max",
        "answer_ms_max",
        "updated_at",
    )
    list_filter = ("enabled", "kind", "stage", "dialect")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("version", "updated_at", "staged_at", "credential_now", "comparison_now")
    inlines = (LpSymbolInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A name that orders have recorded is fixed."""
        return (*self.readonly_fields, "name") if obj else self.readonly_fields

    @admin.display(description="Credential")
    def credential_now(self, provider: LiquidityProvider) -> str:
        """Show who changed it and when, never what it is."""
        rows = [
            f"{row.kind} {row.fingerprint} by {row.changed_by}, {row.changed_at:%Y-%m-%d %H:%M}"
            for row in provider.credentials.select_related("changed_by")
        ]
        return "; ".join(rows) or "none"

    @admin.display(description="As a shadow it would have meant")
    def comparison_now(self, provider: LiquidityProvider) -> str:
        """Show what the orders that it was not asked for would have cost there."""
        found = next((each for each in selectors.comparisons() if each.venue == provider.name), None)
        if found is None:
            return "nothing yet"
        return f"first for {found.first_percent} % of {found.decisions} orders, {found.saved_bps} bp saved on average"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write the symbols, then tell the whole to the engine; a new stage is noted with who set it."""
        super().save_related(request, form, formsets, change)
        who: dict[str, Any] = {"tenant": current_schema(), "provider": form.instance, "by": request.user.get_username()}
        why = _why(form, formsets)
        if change and "stage" in form.changed_data:
            services.set_stage(**who, before=form.initial["stage"], reason=why, now=timezone.now())
        else:
            services.tell_provider(**who, reason=why)


def _why(form: Any, formsets: Any) -> str:
    """Return the reason, with what becomes of settings that only the worker reads."""
    names = [name for name in form.changed_data if name in OF_THE_WORKER]
    moved = [f"{name}: {form.initial.get(name, '')} → {form.cleaned_data[name]}" for name in names]
    for row in (row for formset in formsets for row in formset.forms if row.instance.pk):
        names = [name for name in row.changed_data if name in ("venue_symbol", "units_per_lot")]
        moved += [
            f"{row.instance.symbol} {name}: {row.initial.get(name, '–')} → {row.cleaned_data[name]}" for name in names
        ]
    return "; ".join([reason_of(form), *moved])[:REASON_MAX]


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


@admin.register(FixNumbers)
class FixNumbersAdmin(ReadOnlyAdmin):
    list_display = ("venue", "incoming", "outgoing", "updated_at")
    search_fields = ("venue",)
    ordering = ("venue",)


@admin.register(FixMessage)
class FixMessageAdmin(ReadOnlyAdmin):
    list_display = ("at", "venue", "way", "text")
    list_filter = ("venue", "way")
    search_fields = ("text",)
    ordering = ("-id",)
