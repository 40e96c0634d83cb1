from __future__ import annotations

from django.contrib import admin

from apps.common.admin import DraftedAdmin, number, worded
from apps.instruments.models import Instrument
from apps.outbox.selectors import setting_history


@admin.register(Instrument)
class InstrumentAdmin(DraftedAdmin):
    """Symbols with their steps and bounds, as the engine was told; changed by drafts that another person approves."""

    history_of = staticmethod(setting_history)
    drafts, draft_name = "policies.instrumentpolicy", "symbol"

    list_display = (
        "symbol",
        worded("asset_class"),
        number("contract_size"),
        "price_digits",
        number("tick_size"),
        number("lot_min"),
        number("lot_max"),
        number("lot_step"),
        number("margin_percent", label="margin %"),
        "tradable",
        "updated_at",
    )
    list_filter = ("asset_class", "tradable")
    search_fields = ("symbol",)
    ordering = ("symbol",)
