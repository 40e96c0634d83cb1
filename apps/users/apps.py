"""People of one broker: staff with roles and a second factor, clients with tokens."""

from __future__ import annotations

from django.apps import AppConfig, apps


class UsersConfig(AppConfig):
    name = "apps.users"
    label = "users"
    verbose_name = "People"

    def ready(self) -> None:
        """Give the apps of others, which people meet in the back office, names that say what they are."""
        for label, name in (("otp_totp", "Authenticators"), ("knox", "API tokens")):
            apps.get_app_config(label).verbose_name = name
        apps.get_app_config("auth").verbose_name = "Roles"
