from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.admin import TabularInline

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge, figure, number
from apps.trading import selectors as trading
from apps.treasury import selectors, services
from apps.treasury.models import Deposit, GlAccount, JournalEntry, Posting, Withdrawal


class PostingInline(TabularInline):
    model = Posting
    extra = 0
    can_delete = False
    hide_title = True
    fields = readonly_fields = ("line", "gl_account", "owner", "currency", number("amount", places=2, sortable=False))

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
    list_display = ("entry", "line", "gl_account", "owner", number("amount", places=2), "currency")
    list_filter = ("gl_account", "currency")
    list_select_related = ("entry",)
    search_fields = ("owner", "=entry__seq")
    ordering = ("-entry_id", "line")


@admin.register(GlAccount)
class GlAccountAdmin(ReadOnlyAdmin):
    list_display = ("code", "kind")
    ordering = ("code",)


class MovementForm(forms.ModelForm):
    """Whose money moves, and how much; a foreign currency or an unknown account is refused where it is typed."""

    def clean(self) -> dict[str, Any]:
        """Name the field of what cannot be moved."""
        values = super().clean() or {}
        if not self.errors:
            fault = services.misnamed(account_id=values["account_id"], currency=values["currency"])
            field, _, text = fault.partition(": ")
            if fault:
                self.add_error(field, text)
        return values


class MovementAdmin(KeptAdmin):
    """Money that moves: one person writes it down, another decides; never edited."""

    form = MovementForm
    list_display: tuple[Any, ...] = (
        "requested_at",
        "account_id",
        number("amount", places=2),
        "currency",
        "reference",
        badge("state"),
        "requested_by",
        "decided_by",
        "decided_at",
    )
    list_filter = ("state", "currency")
    list_select_related = ("requested_by", "decided_by")
    search_fields = ("account_id", "reference")
    ordering = ("-id",)
    fields: tuple[str, ...] = ("account_id", "amount", "currency", "reference")
    decided: tuple[str, ...] = ("requested_by", "requested_at", "decided_by", "decided_at")
    actions = ("approve", "reject")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is decided by its actions."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Of what was written down, show also what became of it, and who decided."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        asked = (number("amount", places=2, sortable=False) if name == "amount" else name for name in self.fields)
        return [(None, {"fields": (*asked, badge("state"), *self.decided)})]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may ask may decide what others asked for."""
        return self.has_add_permission(request)


@admin.register(Deposit)
class DepositAdmin(MovementAdmin):
    """Deposits; approval tells the engine."""

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


@admin.register(Withdrawal)
class WithdrawalAdmin(MovementAdmin):
    """Withdrawals; the second person repeats what is paid, and only what the engine booked is paid."""

    list_display = (*MovementAdmin.list_display, "note")
    fields = (*MovementAdmin.fields, "reason")
    decided = (*MovementAdmin.decided, "note")

    def save_model(self, request: HttpRequest, obj: Withdrawal, form: Any, change: bool) -> None:
        """Write the request down in the name of the person who enters it."""
        obj.pk = services.request_withdrawal(**form.cleaned_data, by=request.user).pk

    @admin.action(description="Approve", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Withdrawal]) -> HttpResponse | None:
        """Ask for what is paid to be repeated, then approve it as its second person."""
        if queryset.count() != 1:
            messages.error(request, "Choose one: each is confirmed by itself.")
            return None
        withdrawal, confirm = queryset.get(), request.POST.get("confirm", "")
        if confirm:
            try:
                services.approve_withdrawal(
                    tenant=request.tenant.schema_name,  # type: ignore[attr-defined]
                    withdrawal_id=withdrawal.pk,
                    confirm=confirm,
                    by=request.user,
                    at=timezone.now(),
                )
            except services.UnableToDecideWithdrawal as error:
                messages.error(request, f"{withdrawal}: {error}")
            else:
                messages.success(request, f"{withdrawal}: the engine is told; it is paid once it is booked.")
                return None
        account_id = withdrawal.account_id
        used = trading.used_margin_of(account_ids=[account_id]).get(account_id, Decimal(0))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Approve {withdrawal}",
            "opts": self.opts,
            "withdrawal": withdrawal,
            "balance": figure(selectors.client_balance(account_id=account_id), digits=2),
            "used_margin": figure(used, digits=2),
        }
        return render(request, "treasury/confirm.html", context)

    @admin.action(description="Reject", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Withdrawal]) -> None:
        """Refuse the chosen withdrawals as their second person."""
        for withdrawal in queryset:
            try:
                services.reject_withdrawal(withdrawal_id=withdrawal.pk, by=request.user, at=timezone.now())
            except services.UnableToDecideWithdrawal as error:
                messages.error(request, f"{withdrawal}: {error}")
