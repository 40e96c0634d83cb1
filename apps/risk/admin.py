from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge, number
from apps.risk import services
from apps.risk.models import AccountMargin, ControlsReview, GroupLimits, MarginCall
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
                    "collar_percent",
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


@admin.register(ControlsReview)
class ControlsReviewAdmin(KeptAdmin):
    """Who certified the controls, and when; adding one signs it. Without one of this year nobody trades."""

    list_display = ("reference", "signed_by", "signed_at")
    search_fields = ("reference", "signed_by")

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
        number("balance", digits=2),
        number("deposited", digits=2),
        number("withdrawn", digits=2),
        number("realised", digits=2),
        number("commission", digits=2),
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
        number("equity", digits=2),
        number("used_margin", digits=2),
        number("level_percent", label="level %", digits=2),
    )
    list_filter = ("kind",)
    date_hierarchy = "at"
    search_fields = ("account_id",)
    ordering = ("-seq",)
