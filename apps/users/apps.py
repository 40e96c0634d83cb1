"""People of one broker: staff with roles and a second factor, clients with tokens."""

from __future__ import annotations

from django.apps import AppConfig, apps


class UsersConfig(AppConfig):
    name = "apps.users"
    label = "users"
    verbose_name = "People"

    def ready(self) -> None:
        """Give what others wrote, and people meet in the back office, the names that its menu has for it."""
        for label, name in (("otp_totp", "Authenticators"), ("knox", "API tokens")):
            apps.get_app_config(label).verbose_name = name
        apps.get_app_config("auth").verbose_name = "Roles"
        named = (("otp_totp.totpdevice", "authenticator"), ("knox.authtoken", "API token"), ("auth.group", "role"))
        for label, name in named:
            meta = apps.get_model(label)._meta
            meta.verbose_name, meta.verbose_name_plural = name, f"{name}s"
