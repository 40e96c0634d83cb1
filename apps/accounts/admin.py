from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.accounts import selectors, services
from apps.accounts.models import Account, Client, Group
from apps.common.admin import DraftedAdmin, Drafts, KeptAdmin, SettingAdmin, named, number, reason_of, worded
from apps.outbox.selectors import setting_history


@admin.register(Group)
class GroupAdmin(DraftedAdmin):
    """Routing, markup and margin of each group, as the engine was told."""

    history_of = staticmethod(setting_history)
    drafts, draft_name = "policies.grouppolicy", "group"

    list_display = (
        "name",
        "version",
        "book_mode",
        number("a_book_percent", label="A-book %"),
        "bid_markup_points",
        "ask_markup_points",
        number("commission_per_lot"),
        number("leverage_max", label="leverage"),
        "updated_at",
    )
    list_filter = ("book_mode",)
    search_fields = ("name",)
    ordering = ("name",)
    fieldsets = (
        (
            None,
            {
                "fields": (("name", "version", "updated_at"),),
                "description": "Changed by a draft that another person approves: it holds from the group's next order,"
                " without a restart; orders already working keep their terms. Each order records its version.",
            },
        ),
        (
            "Routing",
            {
                "fields": (("book_mode", "a_book_percent"), ("internal_cross", "slippage_bps_max")),
                "description": "A: passed on to the best LP by price, size, reject rate and priority. B: kept, filled"
                " on the consolidated book with the markup below. MIXED: the A-book percent is passed on, the rest"
                " is kept. Closing follows the book of its open.",
            },
        ),
        (
            "Price",
            {
                "fields": (("bid_markup_points", "ask_markup_points", "commission_per_lot"),),
                "description": "Points are the symbol's last digit: 6 points of EURUSD are 0.00006. The bid is lowered"
                " and the ask raised by them. Commission is in the account's currency per lot and side.",
            },
        ),
        (
            "Margin",
            {
                "fields": (
                    ("leverage_max", "negative_balance_protection"),
                    ("margin_call_percent", "stop_out_percent", "stop_out_inclusive"),
                    ("stop_out_mode", "stop_out_quorum", "stop_out_band_bps"),
                ),
                "description": "Levels are equity in percent of used margin. The regulator's cap for the client's"
                " category holds where it is lower.",
            },
        ),
        (
            "Limits",
            {
                "fields": (("order_notional_max", "open_orders_max"),),
                "description": "All other limits of the gate are under Risk, Group limits.",
            },
        ),
    )


@admin.register(Client)
class ClientAdmin(KeptAdmin):
    list_display = ("name", "reference", "user", "kyc_approved", "created_at")
    list_filter = ("kyc_approved",)
    search_fields = ("name", "reference", "user__username")
    ordering = ("-created_at",)
    readonly_fields = ("created_at",)
    autocomplete_fields = ("user",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Name the login without a way to it for who may not look at logins."""
        given = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj) or request.user.has_perm("users.view_user"):
            return given
        told = named("user", label="User", sortable=False)
        return [
            (title, {**all_, "fields": [told if each == "user" else each for each in all_["fields"]]})
            for title, all_ in given
        ]

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        """Write the client and tell the engine their accounts."""
        services.save_client(tenant=_tenant(request), client=obj, by=request.user.get_username())


@admin.register(Account)
class AccountAdmin(Drafts, SettingAdmin):
    """Accounts are opened and closed here; to another group or category they come by a draft of two people."""

    history_of = staticmethod(setting_history)
    drafts, draft_name = "policies.accountpolicy", "owner"
    actions_list = ("see_changes",)
    list_display = (
        "account_id",
        "client",
        "group",
        "currency",
        worded("category"),
        "position_mode",
        "open",
        "created_at",
    )
    list_filter = ("group", "currency", "open", "category")
    list_select_related = ("client", "group")
    search_fields = ("account_id", "client__name", "client__reference")
    ordering = ("-created_at",)
    readonly_fields = ("version", "created_at")
    autocomplete_fields = ("client",)
    fieldsets = (
        (
            None,
            {"fields": (("account_id", "client", "currency"), ("open", "position_mode"), ("version", "created_at"))},
        ),
        (
            "Terms",
            {
                "fields": ("group", ("category", "category_evidence", "category_evidenced_on")),
                "description": "What it is routed, margined and limited by. Of an account that is there a draft changes"
                " them, once another person approved it.",
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An account's id, owner and currency are fixed once it is open; its terms come by drafts."""
        if obj is None:
            return self.readonly_fields
        return (*self.readonly_fields, "account_id", "client", "currency", *selectors.TERMS)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        """Write the account and tell the engine."""
        services.save_account(
            tenant=_tenant(request), account=obj, by=request.user.get_username(), reason=reason_of(form)
        )


def _tenant(request: HttpRequest) -> str:
    return request.tenant.schema_name  # type: ignore[attr-defined, no-any-return]
