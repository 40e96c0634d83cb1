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

from apps.common import sealing
from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge
from apps.liquidity import services
from apps.liquidity.models import Credential, CredentialChange
from apps.tenants.selectors import current_schema


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """What opens an LP's session: who changed it and when, never what it is."""

    list_display = ("provider", "kind", "version", "fingerprint", "changed_by", "approved_by", "changed_at")
    list_filter = ("kind",)
    search_fields = ("provider__name", "fingerprint")
    list_select_related = ("provider", "changed_by", "approved_by")
    ordering = ("provider__name", "kind")
    exclude = ("sealed",)


class CredentialChangeForm(forms.ModelForm):
    """Takes a secret and never gives one back."""

    secret = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        strip=False,
        max_length=services.SECRET_CHARACTERS_MAX,
        help_text="Written only: no screen shows it again. A second person lets it in.",
    )

    class Meta:
        model = CredentialChange
        fields = ("provider", "kind")


@admin.register(CredentialChange)
class CredentialChangeAdmin(KeptAdmin):
    """A new credential: one person writes it, another lets it in."""

    form = CredentialChangeForm
    list_display = (
        "requested_at",
        "provider",
        "kind",
        "fingerprint",
        badge("state"),
        "requested_by",
        "decided_by",
        "decided_at",
    )
    list_filter = ("state", "kind")
    list_select_related = ("provider", "requested_by", "decided_by")
    search_fields = ("provider__name", "fingerprint")
    ordering = ("-requested_at",)
    exclude = ("sealed",)
    actions = ("approve", "reject")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is decided by its actions, never edited."""
        return False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Who may ask for changes may decide those of others."""
        return request.user.has_perm("liquidity.add_credentialchange")

    @method_decorator(sensitive_post_parameters("secret"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        """Keep the secret out of error reports."""
        return super().add_view(request, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: CredentialChange, form: Any, change: bool) -> None:
        """Seal what was written in the name of the person who wrote it."""
        made = services.request_credential(
            tenant=current_schema(),
            provider=obj.provider,
            kind=obj.kind,
            secret=form.cleaned_data["secret"],
            by=request.user,
        )
        obj.pk = made.pk

    @admin.action(description="Let in", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[CredentialChange]) -> None:
        """Let the chosen changes in as their second person."""
        for change in queryset:
            try:
                services.approve_credential(
                    tenant=current_schema(), change_id=change.pk, by=request.user, at=timezone.now()
                )
            except (services.UnableToDecideCredential, sealing.UnableToReachKeys) as error:
                messages.error(request, f"{change}: {error}")

    @admin.action(description="Reject", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[CredentialChange]) -> None:
        """Refuse the chosen changes as their second person."""
        for change in queryset:
            try:
                services.reject_credential(change_id=change.pk, by=request.user, at=timezone.now())
            except services.UnableToDecideCredential as error:
                messages.error(request, f"{change}: {error}")
