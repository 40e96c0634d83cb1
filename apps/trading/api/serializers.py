from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.api import StrictInput
from apps.common.fields import DecimalText, ZonedTime
from apps.common.times import moment
from apps.trading.api.reasons import field_of, figure
from apps.trading.models import Order
from piggy.core.answers import Answer, OrderView
from piggy.core.events import Check, told_to_client
from piggy.core.money import plain
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side, TimeInForce, exit_of, good_till_us

TEXT_MAX = 100


def _choices(kind: type) -> list[str]:
    return [member.value for member in kind]  # type: ignore[attr-defined]


class OrderIn(StrictInput):
    """What a client may choose about an order; quantities in lots, prices in the quote currency, all as strings."""

    account_id = serializers.CharField(max_length=40)
    symbol = serializers.CharField(max_length=40)
    side = serializers.ChoiceField(_choices(Side))
    quantity = DecimalText()
    type = serializers.ChoiceField(_choices(OrderType), default=OrderType.MARKET.value)
    limit_price = DecimalText(required=False, allow_null=True)
    stop_price = DecimalText(required=False, allow_null=True)
    trailing_distance = DecimalText(required=False, allow_null=True)
    time_in_force = serializers.ChoiceField(_choices(TimeInForce), default=TimeInForce.GTC.value)
    expires_at = ZonedTime(required=False, allow_null=True)
    post_only = serializers.BooleanField(default=False)
    reduce_only = serializers.BooleanField(default=False)
    all_or_none = serializers.BooleanField(default=False)
    display_quantity = DecimalText(required=False, allow_null=True)
    minimum_quantity = DecimalText(required=False, allow_null=True)
    take_profit = DecimalText(required=False, allow_null=True)
    stop_loss = DecimalText(required=False, allow_null=True)
    guaranteed_stop = serializers.BooleanField(
        default=False, help_text="Of the stop loss; of a stop order that only reduces, of itself."
    )
    oco_group = serializers.CharField(required=False, allow_null=True, max_length=TEXT_MAX)
    stp = serializers.ChoiceField(_choices(SelfTradePrevention), default=SelfTradePrevention.CANCEL_NEWEST.value)
    client_order_id = serializers.CharField(required=False, allow_blank=True, max_length=TEXT_MAX)
    position_id = serializers.CharField(required=False, allow_null=True, max_length=TEXT_MAX)
    tag = serializers.CharField(required=False, allow_blank=True, max_length=TEXT_MAX)

    def terms(self) -> OrderTerms:
        """Return the validated body as the core's order terms."""
        values: dict[str, Any] = dict(self.validated_data)
        values["expires_at_us"] = values.pop("expires_at", None)
        for name, kind in KINDS.items():
            values[name] = kind(values[name])
        return OrderTerms(**values)


class AmendIn(StrictInput):
    """What of a working order is to be otherwise; what is left out stays."""

    fields_min = 1

    quantity = DecimalText(required=False)
    limit_price = DecimalText(required=False)
    stop_price = DecimalText(required=False)
    trailing_distance = DecimalText(
        required=False, help_text="Another one begins at the market as it is now, unless a stop price comes with it."
    )
    time_in_force = serializers.ChoiceField(_choices(TimeInForce), required=False)
    expires_at = ZonedTime(required=False, help_text="Alone it makes the order good till then.")
    take_profit = DecimalText(
        required=False, allow_null=True, help_text="Of what is not filled yet; null takes it off."
    )
    stop_loss = DecimalText(required=False, allow_null=True, help_text="Of what is not filled yet; null takes it off.")
    guaranteed_stop = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the changes as the desk's command names them; there must be one."""
        if len(attrs) < self.fields_min:
            raise serializers.ValidationError("Name what is to be otherwise: a quantity, a price, a time or an exit.")
        changes = dict(attrs)
        if "expires_at" in changes:
            changes["expires_at_us"] = changes.pop("expires_at")
        if "time_in_force" in changes:
            changes["time_in_force"] = TimeInForce(changes["time_in_force"])
        return changes


class RequoteIn(StrictInput):
    accept = serializers.BooleanField()


KINDS: dict[str, Any] = {"side": Side, "type": OrderType, "time_in_force": TimeInForce, "stp": SelfTradePrevention}


class ReasonOut(serializers.Serializer):
    code = serializers.CharField()
    field = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    message = serializers.CharField()
    value = serializers.CharField(allow_null=True)
    limit = serializers.CharField(allow_null=True)


class OrderOut(serializers.Serializer):
    """An order as of now; `leaves` is what may still be filled, `average_price` is "0" until the first fill.

    What its sender left out is null, false or "". Of an exit `position_id` is what it protects and `parent_order_id`
    the entry that named it, null where it was asked for of the position.
    """

    order_id = serializers.CharField()
    account_id = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.CharField()
    type = serializers.CharField()
    quantity = DecimalText()
    limit_price = DecimalText(allow_null=True)
    stop_price = DecimalText(allow_null=True)
    time_in_force = serializers.CharField()
    expires_at = ZonedTime(allow_null=True)
    trailing_distance = DecimalText(allow_null=True)
    take_profit = DecimalText(allow_null=True)
    stop_loss = DecimalText(allow_null=True)
    guaranteed_stop = serializers.BooleanField()
    post_only = serializers.BooleanField(source="terms.post_only")
    reduce_only = serializers.BooleanField(source="terms.reduce_only")
    all_or_none = serializers.BooleanField(source="terms.all_or_none")
    display_quantity = DecimalText(allow_null=True, source="terms.display_quantity")
    minimum_quantity = DecimalText(allow_null=True, source="terms.minimum_quantity")
    oco_group = serializers.CharField(allow_null=True, source="terms.oco_group")
    stp = serializers.CharField(source="terms.stp")
    position_id = serializers.CharField(allow_null=True, source="terms.position_id")
    tag = serializers.CharField(source="terms.tag")
    parent_order_id = serializers.CharField(allow_null=True)
    exit = serializers.ChoiceField(["take_profit", "stop_loss"], allow_null=True)
    state = serializers.CharField()
    filled = DecimalText()
    leaves = DecimalText()
    average_price = DecimalText()
    source = serializers.CharField()  # type: ignore[assignment]
    client_order_id = serializers.CharField()
    reason = serializers.CharField(source="text")
    reasons = ReasonOut(many=True, required=False)


class CancelOut(serializers.Serializer):
    """What became of one order: its state after it, "pending" where that is not decided yet; or why not, by `code`."""

    order_id = serializers.CharField()
    state = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    message = serializers.CharField()


class CancelsOut(serializers.Serializer):
    results = CancelOut(many=True)
    complete = serializers.BooleanField(help_text="Whether no other order worked then; where not, ask again.")


class PendingOut(serializers.Serializer):
    """A command that is taken and not decided yet."""

    state = serializers.CharField()
    message = serializers.CharField()
    request_id = serializers.CharField()


class DeniedOut(serializers.Serializer):
    """A refusal: the first reason as every error has it, then all of them and the order, where the desk denied one."""

    code = serializers.CharField()
    field = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    message = serializers.CharField()
    value = serializers.CharField(allow_null=True, required=False)
    limit = serializers.CharField(allow_null=True, required=False)
    request_id = serializers.CharField()
    errors = ReasonOut(many=True, required=False)  # type: ignore[assignment]
    order = OrderOut(required=False)


class OrderRowOut(OrderOut):
    requote_price = DecimalText(allow_null=True)
    requote_until = ZonedTime(allow_null=True)
    created_at = ZonedTime()
    updated_at = ZonedTime()
    reasons = serializers.SerializerMethodField()  # type: ignore[assignment]

    @extend_schema_field(ReasonOut(many=True))
    def get_reasons(self, row: Order) -> list[dict[str, str | None]]:
        """Return the checks that the order did not pass."""
        checks = [Check(**check) for check in row.reasons or ()]
        return _reasons(checks, has_limit_price=row.limit_price is not None)


class FillOut(serializers.Serializer):
    fill_id = serializers.CharField()
    order_id = serializers.CharField()
    account_id = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.CharField()
    quantity = DecimalText()
    price = DecimalText()
    realised = DecimalText()
    commission = DecimalText()
    premium = DecimalText()
    position_id = serializers.CharField()
    filled_at = ZonedTime()


def order_of_view(view: OrderView) -> dict[str, Any]:
    """Return the engine's answer in the shape of OrderOut."""
    terms = view.terms
    parent_order_id, exit_ = exit_of(terms=terms, source=view.source) or (None, None)
    return {
        "order_id": view.order_id,
        **{name: _told(getattr(terms, name)) for name in OrderTerms.__struct_fields__ if name != "expires_at_us"},
        "expires_at": _until(terms),
        "parent_order_id": parent_order_id,
        "exit": exit_,
        "state": view.state.value,
        "filled": plain(view.filled),
        "leaves": plain(view.leaves),
        "average_price": plain(view.average_price.quantize(Decimal("1E-10"))),
        "source": view.source,
        "reason": view.text or (view.routing.text if view.routing else ""),
        "reasons": reasons_of(view.reasons, terms=terms),
    }


def _until(terms: OrderTerms) -> str | None:
    until_us = good_till_us(terms=terms)
    return None if until_us is None else ZonedTime().to_representation(moment(until_us))


def _told(value: Any) -> Any:
    return plain(value) if isinstance(value, Decimal) else value


def cancel_told(*, order_id: str, answer: Answer | None) -> dict[str, Any]:
    """Return what the desk said of one cancel among others in the shape of CancelOut."""
    refused, view = (answer.refused, answer.order) if answer else (None, None)
    return {
        "order_id": order_id,
        "state": "pending" if answer is None else view.state.value if view else None,
        "code": refused.code if refused else None,
        "message": refused.text if refused else view.text if view else "",
    }


def reasons_of(checks: tuple[Check, ...], *, terms: OrderTerms) -> list[dict[str, str | None]]:
    """Return the checks that were not passed: code, the field it is about, a sentence, and its figures, if any."""
    return _reasons(checks, has_limit_price=terms.limit_price is not None)


def reasons_of_change(checks: tuple[Check, ...], *, changes: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Return the checks that an amendment did not pass, as `reasons_of` does; `changes` is what was asked for."""
    return _reasons(checks, has_limit_price="limit_price" in changes or "stop_price" not in changes)


def _reasons(checks: Iterable[Check], *, has_limit_price: bool) -> list[dict[str, str | None]]:
    return [
        {
            "code": check.code,
            "field": field_of(code=check.code, text=check.text, has_limit_price=has_limit_price),
            "message": check.text,
            "value": figure(text=check.value),
            "limit": figure(text=check.limit),
        }
        for check in told_to_client(checks=checks)
    ]
