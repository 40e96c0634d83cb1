from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge
from apps.gateway import services
from apps.gateway.models import Asked, FixClient, PasswordChange, SentMessage
from apps.tenants.selectors import current_schema


class PasswordChangeForm(forms.ModelForm):
    """Takes a password and never gives one back."""

    new_password = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        strip=False,
        min_length=services.PASSWORD_CHARACTERS_MIN,
        help_text="Written only: it is kept as a hash, and no screen shows it. A second person lets it in.",
    )

    class Meta:
        model = PasswordChange
        fields = ("client",)


@admin.register(FixClient)
class FixClientAdmin(KeptAdmin):
    """A client's order session, or a copy of reports for a client or a regulator."""

    fields = (
        "comp_id",
        "kind",
        "enabled",
        "user",
        "every_account",
        "accounts",
        "in_lots",
        "cancel_on_disconnect",
        "sources",
        "incoming",
        "outgoing",
        "copied_seq",
    )
    list_display = ("comp_id", badge("kind"), "enabled", "user", "every_account", "incoming", "outgoing", "changed_at")
    list_filter = ("kind", "enabled")
    search_fields = ("comp_id",)
    list_select_related = ("user",)
    ordering = ("comp_id",)
    readonly_fields = ("incoming", "outgoing", "copied_seq")
    actions = ("begin_anew",)

    def save_model(self, request: HttpRequest, obj: FixClient, form: Any, change: bool) -> None:
        """Write what was changed, as the session may have numbered messages since the page was read; a new one hears
        what happens from now on.
        """
        if change:
            obj.save(update_fields=[*form.changed_data, "changed_at"])
        else:
            super().save_model(request, obj, form, change)
            services.begin_here(tenant=current_schema(), client=obj)

    @admin.action(description="Begin sequence numbers anew, as agreed", permissions=["change"])
    def begin_anew(self, request: HttpRequest, queryset: QuerySet[FixClient]) -> None:
        """Only for a session that is closed: switch it off first."""
        for client in queryset:
            if client.enabled:
                messages.error(request, f"{client}: switch it off first.")
            else:
                services.begin_anew(client=client)


@admin.register(PasswordChange)
class PasswordChangeAdmin(KeptAdmin):
    """A session's new password: one person writes it, another lets it in."""

    form = PasswordChangeForm
    list_display = ("requested_at", "client", badge("state"), "requested_by", "decided_by", "decided_at")
    list_filter = ("state",)
    list_select_related = ("client", "requested_by", "decided_by")
    search_fields = ("client__comp_id",)
    ordering = ("-requested_at",)
    actions = ("approve", "reject")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is decided by its actions, never edited."""
        return False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may ask for changes may decide those of others."""
        return request.user.has_perm("gateway.add_passwordchange")

    @method_decorator(sensitive_post_parameters("new_password"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        """Keep the password out of error reports."""
        return super().add_view(request, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: PasswordChange, form: Any, change: bool) -> None:
        """Hash what was written, in the name of the person who wrote it."""
        password = form.cleaned_data["new_password"]
        obj.pk = services.request_password(client=obj.client, password=password, by=request.user).pk

    @admin.action(description="Let in", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[PasswordChange]) -> None:
        """Let the chosen passwords in as their second person."""
        for change in queryset:
            try:
                services.approve_password(change_id=change.pk, by=request.user, at=timezone.now())
            except services.UnableToSetPassword as error:
                messages.error(request, f"{change}: {error}")

    @admin.action(description="Reject", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[PasswordChange]) -> None:
        """Refuse the chosen passwords as their second person."""
        for change in queryset:
            try:
                services.reject_password(change_id=change.pk, by=request.user, at=timezone.now())
            except services.UnableToSetPassword as error:
                messages.error(request, f"{change}: {error}")


@admin.register(SentMessage)
class SentMessageAdmin(ReadOnlyAdmin):
    list_display = ("sent_at", "client", "number", "kind", "copy_seq")
    list_filter = ("client",)
    list_select_related = ("client",)
    search_fields = ("number", "copy_seq")
    ordering = ("-id",)


@admin.register(Asked)
class AskedAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "client", "cl_ord_id", "kind", "order_id")
    list_filter = ("client", "kind")
    list_select_related = ("client",)
    search_fields = ("cl_ord_id", "order_id")
    ordering = ("-id",)
