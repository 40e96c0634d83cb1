"""GET /api/v1/accounts/<id>/symbols: what one of the caller's accounts may trade, and on which terms."""

from __future__ import annotations

import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors as accounts
from apps.common.api import ApiView, StrictInput
from apps.common.asked import wish
from apps.common.fields import DecimalText
from apps.common.openapi import page_of
from apps.policies import selectors
from piggy.core.commissions import Charged, CommissionBasis
from piggy.core.instruments import AssetClass
from piggy.core.swaps import SwapUnit


def _choice(kind: type) -> serializers.ChoiceField:
    return serializers.ChoiceField([member.value for member in kind])  # type: ignore[attr-defined]


class SymbolsAsked(StrictInput):
    symbol = serializers.CharField(required=False, max_length=40)


class MarginTierOut(serializers.Serializer):
    above = DecimalText()
    percent = DecimalText()


class MarginOut(serializers.Serializer):
    """Percent of a position's value that it binds; of what is above a tier's amount (by `tier_basis`) the tier's.

    Of positions of both sides `hedged_ratio` of the larger side is bound, 2 being both in full; null where an account
    holds no two sides. Around news more may be bound for a while.
    """

    percent = DecimalText()
    tier_basis = serializers.CharField()
    tiers = MarginTierOut(many=True)
    hedged_ratio = DecimalText(allow_null=True)


class TurnoverTierOut(serializers.Serializer):
    from_turnover = DecimalText()
    rate = DecimalText()


class CommissionOut(serializers.Serializer):
    """In the account's currency; a tier's rate holds from that turnover of the month on. `minimum` is of an order."""

    basis = _choice(CommissionBasis)
    rate = DecimalText()
    tiers = TurnoverTierOut(many=True)
    minimum = DecimalText(allow_null=True)
    charged = _choice(Charged)


class SwapOut(serializers.Serializer):
    """What a lot gets a night, below zero: pays, by `unit`; percent is of its value, in `days_in_year` nights.

    Monday is 0; null where each calendar day is one night. A holiday's night is settled on the next day that is none.
    """

    long = DecimalText()
    short = DecimalText()
    unit = _choice(SwapUnit)
    days_in_year = serializers.IntegerField()
    triple_weekday = serializers.IntegerField(allow_null=True)
    holidays = serializers.ListField(child=serializers.DateField(), help_text="From today on.")


class SwapFreeOut(serializers.Serializer):
    """No swap; past `grace_days` a fee per lot and night, in the account's currency."""

    grace_days = serializers.IntegerField()
    fee_per_lot = DecimalText()


class SessionOut(serializers.Serializer):
    opens = serializers.IntegerField()
    closes = serializers.IntegerField()


class HoursOut(serializers.Serializer):
    """Sessions in minutes since Monday 00:00 of `timezone`, and local dates without any, from today on."""

    timezone = serializers.CharField()
    sessions = SessionOut(many=True)
    holidays = serializers.ListField(child=serializers.DateField())
    is_open = serializers.BooleanField(help_text="By these hours, now; a halt is none of them.")


class GuaranteedStopsOut(serializers.Serializer):
    premium_points = DecimalText()
    distance_points_min = DecimalText()


class SymbolOut(serializers.Serializer):
    """A symbol on the terms of one account. Hours null: always open; swap null: none; a point is one of the digits."""

    symbol = serializers.CharField(source="instrument.symbol")
    asset_class = serializers.ChoiceField([each.value for each in AssetClass], source="instrument.asset_class")
    base = serializers.CharField(source="instrument.base")
    quote = serializers.CharField(source="instrument.quote")
    contract_size = DecimalText(source="instrument.contract_size")
    price_digits = serializers.IntegerField(source="instrument.price_digits")
    tick_size = DecimalText(source="instrument.tick_size")
    lot_min = DecimalText(source="instrument.lot_min")
    lot_step = DecimalText(source="instrument.lot_step")
    lot_max = DecimalText(source="instrument.lot_max")
    tradable = serializers.BooleanField(source="instrument.tradable")
    margin = MarginOut()
    commission = CommissionOut()
    swap = SwapOut(allow_null=True)
    swap_free = SwapFreeOut(allow_null=True)
    hours = HoursOut(allow_null=True)
    guaranteed_stops = GuaranteedStopsOut(allow_null=True)


class Symbols(ApiView):
    @extend_schema(operation_id="accounts_symbols", parameters=[SymbolsAsked], responses=page_of(SymbolOut))
    def get(self, request: Request, account_id: str) -> Response:
        """List every symbol with what it costs and binds in one of the caller's accounts, by name."""
        account = accounts.account_of(user=request.user, account_id=account_id)
        if account is None:
            raise NotFound
        named: dict[str, Any] = wish(request=request, by=SymbolsAsked).validated_data
        found = selectors.symbols_of(account=account, symbol=named.get("symbol"), at_us=time.time_ns() // 1_000)
        return Response({"results": SymbolOut(found, many=True).data, "next_cursor": None})
