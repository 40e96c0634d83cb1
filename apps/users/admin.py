"""The back office's door: password, then a code; and the people behind it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm
from unfold.sites import UnfoldAdminSite
from unfold.widgets import BASE_INPUT_CLASSES

from apps.users.models import User
from apps.users.selectors import is_verified_staff


class LoginWithCode(OTPAuthenticationFormMixin, AuthenticationForm):
    """User name, password and the six digits of the authenticator."""

    otp_device = forms.CharField(required=False, widget=forms.HiddenInput)
    otp_token = forms.CharField(
        label="Code",
        required=False,
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
        """The form shows no list of devices: a person's authenticator is theirs to use."""
        chosen = super()._chosen_device(user)
        return chosen or TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()


def staff_only(request: HttpRequest) -> bool:
    """May this request enter the back office? Staff with the second factor given in this session."""
    return is_verified_staff(request.user)


# The theme replaced Django's site object at start-up; every admin of ours is on that one.
assert isinstance(admin.site, UnfoldAdminSite), "unfold must be first in INSTALLED_APPS"
admin.site.has_permission = staff_only  # type: ignore[method-assign]
admin.site.login_form = LoginWithCode
admin.site.unregister(Group)


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
