"""What every app shares at the edge: requests, errors, logs, names."""

from __future__ import annotations

from django.apps import AppConfig

from apps.common import lookups


class CommonConfig(AppConfig):
    name = "apps.common"
    label = "common"
    verbose_name = "Common"

    def ready(self) -> None:
        lookups.register()
