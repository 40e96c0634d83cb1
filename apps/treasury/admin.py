from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from apps.common.admin import ReadOnlyAdmin, badge, number
from apps.treasury import services
from apps.treasury.models import Deposit, GlAccount, JournalEntry, Posting


class PostingInline(TabularInline):
    model = Posting
    extra = 0
    can_delete = False
    fields = readonly_fields = ("line", "gl_account", "owner", "currency", number("amount", sortable=False))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only events add."""
        return False


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = ("booked_at", "seq", "event_type", "reference")
    list_filter = ("event_type",)
    search_fields = ("=seq", "reference")
    ordering = ("-seq",)
    date_hierarchy = "booked_at"
    inlines = (PostingInline,)


@admin.register(Posting)
class PostingAdmin(ReadOnlyAdmin):
    list_display = ("entry", "line", "gl_account", "owner", number("amount"), "currency")
    list_filter = ("gl_account", "currency")
    list_select_related = ("entry",)
    search_fields = ("owner", "=entry__seq")
    ordering = ("-entry_id", "line")


@admin.register(GlAccount)
class GlAccountAdmin(ReadOnlyAdmin):
    list_display = ("code", "kind")
    ordering = ("code",)


@admin.register(Deposit)
class DepositAdmin(ModelAdmin):
    """Deposits: one person writes them down, another approves; approval tells the engine."""

    list_display = (
        "requested_at",
        "account_id",
        number("amount"),
        "currency",
        "reference",
        badge("state"),
        "requested_by",
        "decided_by",
        "decided_at",
    )
    list_filter = ("state", "currency")
    list_filter_sheet = False
    list_select_related = ("requested_by", "decided_by")
    search_fields = ("account_id", "reference")
    ordering = ("-id",)
    fields = ("account_id", "amount", "currency", "reference")
    actions = ("approve", "reject")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A deposit is decided by its actions, never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may add deposits may decide those of others."""
        return request.user.has_perm("treasury.add_deposit")

    def save_model(self, request: HttpRequest, obj: Deposit, form: Any, change: bool) -> None:
        """Write the request down in the name of the person who enters it."""
        made = services.request_deposit(
            account_id=obj.account_id,
            amount=obj.amount,
            currency=obj.currency,
            reference=obj.reference,
            by=request.user,
        )
        obj.pk = made.pk

    @admin.action(description="Approve", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Deposit]) -> None:
        """Approve the chosen deposits as their second person."""
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        for deposit in queryset:
            try:
                services.approve_deposit(tenant=tenant, deposit_id=deposit.pk, by=request.user, at=timezone.now())
            except services.UnableToDecideDeposit as error:
                messages.error(request, f"{deposit}: {error}")

    @admin.action(description="Reject", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Deposit]) -> None:
        """Refuse the chosen deposits as their second person."""
        for deposit in queryset:
            try:
                services.reject_deposit(deposit_id=deposit.pk, by=request.user, at=timezone.now())
            except services.UnableToDecideDeposit as error:
                messages.error(request, f"{deposit}: {error}")
