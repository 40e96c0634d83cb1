from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge, figure, money, number
from apps.risk import selectors, services
from apps.risk.models import AccountMargin, ControlsReview, DepreciationNotice, GroupLimits, LossShare, MarginCall
from apps.users.selectors import has_role


@admin.register(GroupLimits)
class GroupLimitsAdmin(ReadOnlyAdmin):
    """What the engine was told of each group's limits; they are changed by drafts that another person approves."""

    list_display = (
        "group",
        "version",
        number("order_volume_max_lots", label="Lots of an order"),
        number("window_value_max", label="Value in a window"),
        number("position_net_max_lots", label="Net lots"),
        number("exposure_account_max", label="Account exposure"),
        number("loss_daily_account_max", label="Account loss a day"),
        "updated_at",
    )
    list_select_related = ("group",)
    search_fields = ("group__name",)
    ordering = ("group__name",)
    fieldsets = (
        (
            None,
            {
                "fields": (("group", "version", "updated_at"),),
                "description": "Changed under Risk, Group limits: a draft, approved by another person, holds from the"
                " group's next order. The largest order value, the slippage bound and the number of open orders are on"
                " the group itself.",
            },
        ),
        (
            "Order and price",
            {
                "fields": (
                    ("order_volume_max_lots", "price_age_ms_max", "collar_age_ms_max"),
                    ("close_on_stale_price", "volume_share_percent_max"),
                    "collars",
                )
            },
        ),
        (
            "Flow",
            {
                "fields": (
                    ("window_value_max", "window_s", "duplicate_window_ms"),
                    ("account_messages_per_s_max", "tenant_messages_per_s_max", "venue_messages_per_s_max"),
                    ("executions_max", "executions_window_s", "disconnect_grace_s"),
                    ("rejects_consecutive_max", "rejects_percent_max"),
                )
            },
        ),
        (
            "Position, exposure, loss",
            {
                "fields": (
                    ("position_net_max_lots", "position_gross_max_lots"),
                    ("exposure_account_max", "exposure_venue_max"),
                    ("exposure_tenant_max", "exposure_firm_max"),
                    ("loss_daily_account_max", "loss_daily_tenant_max"),
                    ("alert_percents", "locate_required"),
                )
            },
        ),
    )

    @admin.display(description="Collar percent")
    def collars(self, row: GroupLimits) -> str:
        """Say how far from the mid a price may be, by asset class."""
        return " · ".join(f"{name.replace('_', ' ')} {value} %" for name, value in row.collar_percent.items())


@admin.register(ControlsReview)
class ControlsReviewAdmin(KeptAdmin):
    """Who certified the controls, and when; adding one signs it. Without one of this year nobody trades."""

    list_display = ("reference", "signed_by", "signed_at")
    search_fields = ("reference", "signed_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Say of a review who signed it and when."""
        return ("reference",) if obj is None else self.list_display

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those certify who do not trade."""
        return has_role(request.user, "admin", "compliance")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was signed stays as it was."""
        return False

    def save_model(self, request: HttpRequest, obj: ControlsReview, form: Any, change: bool) -> None:
        """Sign the review and tell the engine."""
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        signed = services.sign_review(
            tenant=tenant, reference=obj.reference, by=request.user.get_username(), at=timezone.now()
        )
        obj.pk, obj.signed_by, obj.signed_at = signed.pk, signed.signed_by, signed.signed_at


@admin.register(AccountMargin)
class AccountMarginAdmin(ReadOnlyAdmin):
    list_display = (
        "account_id",
        "currency",
        money("balance"),
        money("deposited"),
        money("withdrawn"),
        money("realised"),
        money("commission"),
        money("premiums"),
        money("swaps"),
        "margin_called",
        "updated_at",
    )
    list_filter = ("margin_called", "currency")
    search_fields = ("account_id",)
    ordering = ("-updated_at",)


@admin.register(MarginCall)
class MarginCallAdmin(ReadOnlyAdmin):
    list_display = (
        "at",
        badge("kind"),
        "account_id",
        money("equity"),
        money("used_margin"),
        number("level_percent", label="level %", digits=2),
    )
    list_filter = ("kind",)
    date_hierarchy = "at"
    search_fields = ("account_id",)
    ordering = ("-seq",)


@admin.register(DepreciationNotice)
class DepreciationNoticeAdmin(ReadOnlyAdmin):
    """Losses that clients are told of: their program fetches them, or somebody tells them in another way."""

    list_display = (
        "at",
        "account_id",
        "symbol",
        number("percent", label="lost %"),
        money("initial", label="worth at first"),
        money("value", label="worth now"),
        "currency",
        number("price"),
        "told_at",
        "told_by",
    )
    list_filter = (("told_at", admin.EmptyFieldListFilter), "symbol")
    date_hierarchy = "at"
    search_fields = ("account_id", "symbol", "position_id")
    ordering = ("-id",)
    actions = ("told",)

    def has_tell_permission(self, request: HttpRequest) -> bool:
        """Those who speak with clients about their risk."""
        return request.user.has_perm("risk.change_depreciationnotice")

    @admin.action(description="Told the client in another way", permissions=["tell"])
    def told(self, request: HttpRequest, queryset: QuerySet[DepreciationNotice]) -> None:
        """Note that the client was told by letter or telephone."""
        chosen, by = queryset.values_list("pk", flat=True), request.user.get_username()
        count = services.tell_otherwise(notices=chosen, by=by, at=timezone.now())
        messages.success(request, f"{count} noted as told by {by}.")


@admin.register(LossShare)
class LossShareAdmin(ReadOnlyAdmin):
    """What the risk warning says, as it was measured day by day; the newest is what the broker's pages show."""

    list_display = ("measured_at", "since", number("accounts"), number("losing"), "percent", "says")
    ordering = ("-measured_at",)
    fields = ("measured_at", "since", "accounts", "losing", "says")

    @admin.display(description="losing %")
    def percent(self, row: LossShare) -> Any:
        """The firm's own percent, none for a new firm."""
        return figure(row.losing * 100 / Decimal(row.accounts), digits=1) if row.accounts else ""

    @admin.display(description="the pages say")
    def says(self, row: LossShare) -> str:
        """The warning of that day; one that is too old may not be said."""
        found = selectors.risk_warning_of(share=row, at=timezone.now())
        return found.text if found else "Nothing any more: measured more than three months ago."
