from __future__ import annotations

from django.apps import AppConfig


class DealingConfig(AppConfig):
    name = "apps.dealing"
    label = "dealing"
