"""What of orders, fills and positions a caller asks for."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from apps.common import asked
from apps.common.api import StrictInput
from apps.common.asked import Time
from apps.trading import selectors
from piggy.core.orders import OrderState

OPEN = "open"


class Asked(asked.Asked):
    """Whose rows, and of what."""

    account_id = serializers.CharField(required=False, max_length=40)
    symbol = serializers.CharField(required=False, max_length=40)


class OrdersAsked(Asked):
    LOOKUPS: ClassVar = {"since": "created_at__gte", "until": "created_at__lt"}

    state = serializers.ChoiceField(
        [OPEN, *(state.value for state in OrderState)],
        required=False,
        help_text="`open`: any in which it may still deal.",
    )
    client_order_id = serializers.CharField(required=False, max_length=100)
    since = Time(required=False, help_text="Placed then or later.")
    until = Time(required=False, help_text="Placed before.")

    def of(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the orders asked for."""
        if self.validated_data.get("state") == OPEN:
            self.validated_data.pop("state")
            rows = rows.exclude(state__in=selectors.ENDED)
        return super().of(rows)


class CancelsAsked(StrictInput):
    account_id = serializers.CharField(max_length=40)
    symbol = serializers.CharField(required=False, max_length=40)


class FillsAsked(Asked):
    LOOKUPS: ClassVar = {"since": "filled_at__gte", "until": "filled_at__lt"}

    order_id = serializers.CharField(required=False, max_length=60)
    since = Time(required=False, help_text="Dealt then or later.")
    until = Time(required=False, help_text="Dealt before.")


class PositionsAsked(Asked):
    pass
