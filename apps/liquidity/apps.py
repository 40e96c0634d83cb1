from __future__ import annotations

from django.apps import AppConfig


class LiquidityConfig(AppConfig):
    name = "apps.liquidity"
    label = "liquidity"
    verbose_name = "Liquidity"
