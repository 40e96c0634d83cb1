from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.common.admin import SettingAdmin, number, reason_of
from apps.instruments import services
from apps.instruments.models import Instrument
from apps.outbox.selectors import setting_history


@admin.register(Instrument)
class InstrumentAdmin(SettingAdmin):
    """Symbols with their steps and bounds; saving tells the engine, effective on the next order."""

    history_of = staticmethod(setting_history)

    list_display = (
        "symbol",
        "asset_class",
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
    readonly_fields = ("version", "updated_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What open positions are counted in is fixed."""
        fixed = ("symbol", "base", "quote", "contract_size", "price_digits", "lot_digits")
        return (*self.readonly_fields, *fixed) if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Instrument, form: Any, change: bool) -> None:
        """Write the symbol and tell the engine."""
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        by, reason = request.user.get_username(), reason_of(form)
        services.save_instrument(tenant=tenant, instrument=obj, by=by, reason=reason)
