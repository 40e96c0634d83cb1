"""What is asked and told of open positions; lots and prices as strings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from apps.common.api import StrictInput
from apps.common.fields import DecimalText, ZonedTime
from apps.trading.api.serializers import ReasonOut, reasons_of_change
from apps.trading.models import Position
from piggy.core.money import plain
from piggy.core.position_commands import Which
from piggy.core.position_events import PositionClose, PositionsClosed

# What of such a request a control can be about; of the orders that come of it the caller chose nothing else.
ASKED = ("account_id", "symbol")


class ExitsIn(StrictInput):
    """The exits of an open position that are to be otherwise; null takes one off.

    Its stop is at a price or trails the market: the one takes the other's place, and a stop loss of null takes off
    either.
    """

    take_profit = DecimalText(required=False, allow_null=True)
    stop_loss = DecimalText(required=False, allow_null=True)
    trailing_distance = DecimalText(required=False, allow_null=True, help_text="Behind the market, as it is now.")
    guaranteed_stop = serializers.BooleanField(
        required=False, help_text="Of the stop loss; alone it is of the one that stands."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the exits; there must be one."""
        if not attrs:
            raise serializers.ValidationError("Name a take profit, or what its stop is to be.")
        return attrs


class ExitsOut(serializers.Serializer):
    """What was asked for, which all of the position has now."""

    position_id = serializers.CharField()
    take_profit = DecimalText(required=False, allow_null=True)
    stop_loss = DecimalText(required=False, allow_null=True)
    trailing_distance = DecimalText(required=False, allow_null=True)
    guaranteed_stop = serializers.BooleanField(required=False)


class CloseAllIn(StrictInput):
    """Which positions; nothing means all of them."""

    symbol = serializers.CharField(required=False, max_length=40)
    which = serializers.ChoiceField(
        [which.value for which in Which],
        default=Which.ALL.value,
        help_text="By what closing them now would bring before commission; what has no price is neither.",
    )
    after = serializers.CharField(
        required=False,
        max_length=120,
        help_text="The `next` of an answer that was not complete: it goes on from there.",
    )

    def asked(self) -> dict[str, Any]:
        """Return what is asked as the desk's command names it."""
        values = self.validated_data
        return {"symbol": values.get("symbol", ""), "which": Which(values["which"]), "after": values.get("after", "")}


class CloseOut(serializers.Serializer):
    """What became of one position: the order that closes `lots` of it, or why there is none.

    `state` is the order's when this was decided: what is at a venue, or with a dealer, goes on. `reasons` say why it
    was denied, or ended before all was closed.
    """

    position_id = serializers.CharField()
    symbol = serializers.CharField()
    order_id = serializers.CharField(allow_null=True)
    lots = DecimalText()
    filled = DecimalText()
    average_price = DecimalText(allow_null=True)
    state = serializers.CharField()
    reasons = ReasonOut(many=True)


class ClosesOut(serializers.Serializer):
    results = CloseOut(many=True)
    complete = serializers.BooleanField(help_text="Whether there were no more than can be asked for at once.")
    next = serializers.CharField(
        allow_null=True, help_text="What to give as `after` to go on, whatever became of these; null when complete."
    )


class PositionOut(serializers.Serializer):
    """Signed lots: above zero is long."""

    position_id = serializers.CharField()
    account_id = serializers.CharField()
    symbol = serializers.CharField()
    quantity = DecimalText()
    average_price = serializers.SerializerMethodField()
    realised = DecimalText()
    used_margin = DecimalText(source="margin")
    opened_at = ZonedTime()

    def get_average_price(self, row: Position) -> str:
        """Return the volume-weighted open price to ten decimals."""
        return plain(row.average_price.quantize(Decimal("1E-10")))


def closes_told(closed: PositionsClosed) -> dict[str, Any]:
    """Return the desk's answer in the shape of ClosesOut."""
    following = closed.closes[-1].position_id if closed.left and closed.closes else None
    return {"results": [_close(each) for each in closed.closes], "complete": not closed.left, "next": following}


def _close(close: PositionClose) -> dict[str, Any]:
    reasons = reasons_of_change(close.reasons, changes={})
    return {
        "position_id": close.position_id,
        "symbol": close.symbol,
        "order_id": close.order_id or None,
        "lots": plain(close.lots),
        "filled": plain(close.filled),
        "average_price": plain(close.average_price.quantize(Decimal("1E-10"))) if close.filled else None,
        "state": close.state.value,
        "reasons": [each | {"field": each["field"] if each["field"] in ASKED else None} for each in reasons],
    }
