"""The back office's door: password, then a code; and the people behind it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.admin import TOTPDeviceAdmin
from django_otp.plugins.otp_totp.models import TOTPDevice
from knox.admin import AuthTokenAdmin
from knox.models import get_token_model
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm
from unfold.sites import UnfoldAdminSite
from unfold.widgets import BASE_INPUT_CLASSES

from apps.users import services
from apps.users.models import FactorRemoval, User
from apps.users.selectors import is_verified_staff, may_remove_factor


class LoginWithCode(OTPAuthenticationFormMixin, AuthenticationForm):
    """User name, password and the six digits of the authenticator."""

    otp_device = forms.CharField(required=False, widget=forms.HiddenInput)
    otp_token = forms.CharField(
        label="Authenticator code",
        required=False,
        help_text="Six digits. Staff have an authenticator; without one nobody enters.",
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "class": " ".join(BASE_INPUT_CLASSES)}
        ),
    )
    otp_challenge = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> Any:
        """Check the password first, then the code; without a device there is no way in."""
        self.cleaned_data = super().clean()
        self.clean_otp(self.get_user())
        return self.cleaned_data

    def _chosen_device(self, user: Any) -> Any:
        """The form shows no list of devices: a person's authenticator is theirs to use, whatever else is named.

        What looks a name up fails at one that is no device's, and takes an authenticator that is not confirmed.
        """
        return TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()


def staff_only(request: HttpRequest) -> bool:
    """May this request enter the back office? Staff with the second factor given in this session."""
    return is_verified_staff(request.user)


class RemovalForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        min_length=services.REASON_CHARACTERS_MIN,
        max_length=500,
        help_text="Kept for good, with your name.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


# The theme replaced Django's site object at start-up; every admin of ours is on that one.
assert isinstance(admin.site, UnfoldAdminSite), "unfold must be first in INSTALLED_APPS"
admin.site.has_permission = staff_only  # type: ignore[method-assign]
admin.site.login_form = LoginWithCode
AuthToken = get_token_model()
for unfit in (Group, TOTPDevice, StaticDevice, AuthToken):
    admin.site.unregister(unfit)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg,misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_active", "groups")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who leaves is made inactive: what they did names them."""
        return False


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[type-arg,misc]
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Roles stay: the set-up makes them, and people have them."""
        return False


@admin.register(TOTPDevice)
class AuthenticatorAdmin(TOTPDeviceAdmin, ModelAdmin):  # type: ignore[misc]
    """Second factors: given out, shown until they were used once, and taken away one by one, each with a reason."""

    actions = None
    list_display = ("user", "name", "created_at", "last_used_at", "confirmed")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Show no way to anybody's secret."""
        return self.list_display

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for a key; show none afterwards but by the code to photograph, while nobody has used it."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        facts = ("user", "name", "confirmed", "created_at", "last_used_at")
        return [(None, {"fields": facts if obj.last_used_at else (*facts, "qrcode_link")})]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody hands one on to another person, or switches it off."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may take this one away; never several at once."""
        return obj is not None and may_remove_factor(by=request.user, owner=obj.user)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask why, then take it away."""
        device = get_object_or_404(TOTPDevice, pk=object_id)
        if not self.has_delete_permission(request, device):
            raise PermissionDenied
        form = RemovalForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            given = {"by": request.user, "reason": form.cleaned_data["reason"], "at": timezone.now()}
            try:
                removal = services.remove_factor(device_id=device.pk, **given)
            except services.UnableToRemoveFactor as error:
                form.add_error("reason", str(error))
            else:
                messages.warning(request, f"Taken away: {removal}.")
                return redirect("admin:otp_totp_totpdevice_changelist")
        title = f"Take away {device.name} of {device.user}"
        context = {**self.admin_site.each_context(request), "title": title, "form": form, "opts": self.opts}
        return render(request, "users/remove_factor.html", context, status=400 if form.errors else 200)

    def config_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the code to photograph to who gives it out, until it was used."""
        self._require_unused(pk)
        answer = super().config_view(request, pk)
        assert isinstance(answer, HttpResponse), "a view answers a page"
        return answer

    def qrcode_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Draw that code."""
        self._require_unused(pk)
        answer = super().qrcode_view(request, pk)
        assert isinstance(answer, HttpResponse), "a view answers an image"
        return answer

    def _require_unused(self, pk: int) -> None:
        if get_object_or_404(TOTPDevice, pk=pk).last_used_at:
            raise PermissionDenied


@admin.register(AuthToken)
class TokenAdmin(AuthTokenAdmin, ModelAdmin):  # type: ignore[misc]
    """Tokens of the API: given out, with the name of who did it in the history, and taken back."""

    list_display = ("user", "created", "ends", "begins")
    list_select_related = ("user",)
    search_fields = ("user__username", "token_key")
    ordering = ("-created",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Say whose it is and until when; its digest, by which nobody can know it, is not shown."""
        return super().get_fieldsets(request, obj) if obj is None else [(None, {"fields": self.list_display})]

    @admin.display(description="First characters", ordering="token_key")
    def begins(self, token: Any) -> str:
        """What a person compares with the token in their program; the rest was shown once."""
        return f"{token.token_key}…"

    @admin.display(description="Holds until", ordering="expiry")
    def ends(self, token: Any) -> Any:
        """Its last moment, or that it has none."""
        return token.expiry or "taken back"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody turns one that they know into another person's."""
        return False


@admin.register(FactorRemoval)
class FactorRemovalAdmin(ModelAdmin):
    """Authenticators that were taken away: to look at."""

    actions = None

    list_display = ("at", "user", "device", "by", "reason")
    search_fields = ("user", "by")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what is done writes them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes them."""
        return False


@admin.register(LogEntry)
class HistoryAdmin(ModelAdmin):
    """What staff did in the back office, also to what is gone since: to look at."""

    actions = None
    list_display = ("action_time", "user", "action_flag", "content_type", "object_repr", "change_message")
    list_filter = ("action_flag", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("user__username", "object_repr")
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only what is done writes it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes it."""
        return False
