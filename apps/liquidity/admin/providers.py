from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from unfold.admin import TabularInline
from unfold.decorators import action

from apps.common.admin import ReadOnlyAdmin, SettingAdmin, badge, number, reason_of
from apps.liquidity import selectors, services
from apps.liquidity.models import FixMessage, FixNumbers, LiquidityProvider, LpSymbol, VenueOrder, VenueReport
from apps.outbox.selectors import setting_history
from apps.tenants.selectors import current_schema

REASON_MAX = 500


class LpSymbolInline(TabularInline):
    model = LpSymbol
    extra = 0
    fields = ("symbol", "venue_symbol", "units_per_lot", "enabled")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Symbols come with the terms that two people decide."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return False


@admin.register(LiquidityProvider)
class LiquidityProviderAdmin(SettingAdmin):
    """How an LP's session is reached: saving tells its worker, no restart. Its terms are changed by drafts.

    A new one is off until two people have decided its terms.
    """

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
    actions = ("begin_anew",)
    actions_detail = ("write_terms",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What routing goes by has a draft; a name that orders have recorded is fixed."""
        return (*self.readonly_fields, *selectors.TERMS, "name") if obj else self.readonly_fields

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A new one has no terms yet."""
        return () if obj else selectors.TERMS

    @admin.action(description="Begin FIX sequence numbers anew, as agreed", permissions=["change"])
    def begin_anew(self, request: HttpRequest, queryset: QuerySet[LiquidityProvider]) -> None:
        """Only for an LP that is switched off and logged out."""
        for provider in queryset:
            try:
                services.begin_numbers_anew(tenant=current_schema(), provider=provider, by=request.user.get_username())
            except services.UnableToBeginAnew as error:
                messages.error(request, str(error))

    @action(description="Change its terms", url_path="write-terms", permissions=["draft"])
    def write_terms(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Begin a draft that says what is live."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect(f"{reverse('admin:policies_venuepolicy_add')}?{urlencode({'owner': row.name})}")

    def has_draft_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whoever may write drafts."""
        return bool(request.user.has_perm("policies.add_venuepolicy"))

    def save_model(self, request: HttpRequest, obj: LiquidityProvider, form: Any, change: bool) -> None:
        """Write the session; a new LP is off."""
        if not change:
            obj.enabled = False
        super().save_model(request, obj, form, change)

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
        """Tell the engine, and the history what the worker alone reads."""
        super().save_related(request, form, formsets, change)
        services.tell_provider(
            tenant=current_schema(), provider=form.instance, by=request.user.get_username(), reason=_why(form)
        )


def _why(form: Any) -> str:
    """Return the reason, with what becomes of each setting of the session."""
    values = {name: (form.initial.get(name, "–"), form.cleaned_data[name]) for name in form.changed_data}
    moved = [f"{name}: {was} → {now}" for name, (was, now) in values.items() if name != "reason" and was != now]
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
    exclude = ("envelope", "raw")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What the LP wrote has a row of its own."""
        return [*super().get_fieldsets(request, obj), ("As the LP wrote it", {"fields": ("written",)})]

    @admin.display(description="Message")
    def written(self, row: VenueReport) -> str:
        """Show FIX's separators, which no font has, as bars."""
        return str(row.raw).replace("\x01", " | ")


@admin.register(FixNumbers)
class FixNumbersAdmin(ReadOnlyAdmin):
    list_display = ("venue", "incoming", "outgoing", "begun_at", "updated_at")
    search_fields = ("venue",)
    ordering = ("venue",)


@admin.register(FixMessage)
class FixMessageAdmin(ReadOnlyAdmin):
    list_display = ("at", "venue", "way", "text")
    list_filter = ("venue", "way")
    search_fields = ("text",)
    ordering = ("-id",)
