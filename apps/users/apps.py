"""People of one broker: staff with roles and a second factor, clients with tokens."""

from __future__ import annotations

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "apps.users"
    label = "users"
    verbose_name = "People"
