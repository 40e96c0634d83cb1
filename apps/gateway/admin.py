from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge
from apps.gateway import services
from apps.gateway.models import Asked, FixClient, SentMessage
from apps.tenants.selectors import current_schema


class FixClientForm(forms.ModelForm):
    """Takes a password and never gives one back."""

    new_password = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        strip=False,
        required=False,
        min_length=services.PASSWORD_CHARACTERS_MIN,
        help_text="Written only: it is kept as a hash, and no screen shows it.",
    )

    class Meta:
        model = FixClient
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
        )


@admin.register(FixClient)
class FixClientAdmin(KeptAdmin):
    """A client's order session, or a copy of reports for a client or a regulator."""

    form = FixClientForm
    list_display = ("comp_id", badge("kind"), "enabled", "user", "every_account", "incoming", "outgoing", "changed_at")
    list_filter = ("kind", "enabled")
    search_fields = ("comp_id",)
    list_select_related = ("user",)
    ordering = ("comp_id",)
    readonly_fields = ("incoming", "outgoing", "copied_seq")
    actions = ("begin_anew",)

    @method_decorator(sensitive_post_parameters("new_password"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Keep the password out of error reports."""
        return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: FixClient, form: Any, change: bool) -> None:
        """Write the session; a new one hears what happens from now on."""
        super().save_model(request, obj, form, change)
        if not change:
            services.begin_here(tenant=current_schema(), client=obj)
        if password := form.cleaned_data.get("new_password"):
            services.set_password(client=obj, password=password)

    @admin.action(description="Begin sequence numbers anew, as agreed", permissions=["change"])
    def begin_anew(self, request: HttpRequest, queryset: QuerySet[FixClient]) -> None:
        """Only for a session that is closed: switch it off first."""
        for client in queryset:
            if client.enabled:
                messages.error(request, f"{client}: switch it off first.")
            else:
                services.begin_anew(client=client)


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
