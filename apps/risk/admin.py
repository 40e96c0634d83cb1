from __future__ import annotations

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin, number
from apps.risk.models import AccountMargin, MarginCall


@admin.register(AccountMargin)
class AccountMarginAdmin(ReadOnlyAdmin):
    list_display = (
        "account_id",
        "currency",
        number("balance"),
        number("deposited"),
        number("withdrawn"),
        number("realised"),
        number("commission"),
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
        "kind",
        "account_id",
        number("equity", digits=2),
        number("used_margin", digits=2),
        number("level_percent", label="level %", digits=2),
    )
    list_filter = ("kind",)
    search_fields = ("account_id",)
    ordering = ("-seq",)
