"""What an order, a change of one or a close would do, asked before it is done; nothing is."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView, Refused, StrictInput
from apps.common.fields import DecimalText
from apps.trading import services
from apps.trading.api.answering import PREFER, hear
from apps.trading.api.serializers import AmendIn, OrderIn, ReasonOut, reasons_of, reasons_of_change
from piggy.core.answers import Answer, WhatIf
from piggy.core.money import plain

# Of what is asked and not booked, more than any currency has; an absurd order is told what it would bind, too.
CENTS, ENOUGH = Decimal("0.0001"), Context(prec=60)
SUMS = {
    "margin_required": "required",
    "margin_released": "released",
    "margin_free": "free_before",
    "margin_free_after": "free_after",
    "realised": "realised",
    "exposure": "exposure_before",
    "exposure_after": "exposure_after",
}
LOTS = {"quantity": "lots_before", "quantity_after": "lots_after"}


class CloseIn(StrictInput):
    quantity = DecimalText(required=False, help_text="How many lots of it; without, all.")


class WhatIfOut(serializers.Serializer):
    """What it would do now, were all of it dealt; money of its account, null where a price or a rate is missing.

    `quantity` is what the account holds of the symbol: signed net lots; `exposure` is their worth.
    """

    passes = serializers.BooleanField()
    reasons = ReasonOut(many=True)
    margin_required = DecimalText(allow_null=True, help_text="What it would bind.")
    margin_released = DecimalText(
        allow_null=True, help_text="What is bound now and would come free: by what it closes, or by what it changes."
    )
    margin_free = DecimalText(allow_null=True)
    margin_free_after = DecimalText(allow_null=True)
    realised = DecimalText(
        allow_null=True, help_text="By what it closes, before commission; null where it closes none."
    )
    quantity = DecimalText(allow_null=True)
    quantity_after = DecimalText(allow_null=True)
    exposure = DecimalText(allow_null=True)
    exposure_after = DecimalText(allow_null=True)


class OrderWhatIf(ApiView):
    """What an order would do, asked before it is placed."""

    @extend_schema(operation_id="orders_what_if", request=OrderIn, parameters=[PREFER], responses={200: WhatIfOut})
    def post(self, request: Request) -> Response:
        """Say what the order would bind, what it would leave free, and all that speaks against it; nothing is done."""
        body = OrderIn(data=request.data)
        body.is_valid(raise_exception=True)
        terms = body.terms()
        told = hear(self, request, services.what_if, terms=terms)
        return Response(what_if_told(told, reasons=reasons_of(told.verdict.reasons, terms=terms)))


class AmendmentWhatIf(ApiView):
    """What a change of a working order would do."""

    @extend_schema(
        operation_id="orders_amend_what_if", request=AmendIn, parameters=[PREFER], responses={200: WhatIfOut}
    )
    def post(self, request: Request, order_id: str) -> Response:
        """Say what the change would bind and leave free, and all that speaks against it; nothing is changed."""
        body = AmendIn(data=request.data)
        body.is_valid(raise_exception=True)
        changes = dict(body.validated_data)
        answer = hear(self, request, services.amendment_what_if, order_id=order_id, changes=changes)
        return told_of(answer, changes=changes)


class CloseWhatIf(ApiView):
    """What a close of a position would do."""

    @extend_schema(
        operation_id="positions_close_what_if", request=CloseIn, parameters=[PREFER], responses={200: WhatIfOut}
    )
    def post(self, request: Request, position_id: str) -> Response:
        """Say what closing all of a position at the market, or a part, would set free and bring; nothing is closed."""
        body = CloseIn(data=request.data)
        body.is_valid(raise_exception=True)
        lots = body.validated_data.get("quantity")
        return told_of(hear(self, request, services.close_what_if, position_id=position_id, lots=lots), changes={})


def told_of(answer: Answer, *, changes: dict[str, Any]) -> Response:
    """Return what was found out; what the desk would not even judge is refused as the request itself would be."""
    if answer.refused is not None:
        raise Refused(code=answer.refused.code, field=answer.refused.field or None, message=answer.refused.text)
    assert answer.what_if is not None, "what is not refused was found out"
    reasons = reasons_of_change(answer.what_if.verdict.reasons, changes=changes)
    return Response(what_if_told(answer.what_if, reasons=reasons))


def what_if_told(told: WhatIf, *, reasons: list[dict[str, str | None]]) -> dict[str, Any]:
    """Return the desk's answer in the shape of WhatIfOut."""
    sums = {name: getattr(told, field) for name, field in SUMS.items()}
    lots = {name: getattr(told, field) for name, field in LOTS.items()}
    return {
        "passes": told.verdict.passed,
        "reasons": reasons,
        **{name: None if amount is None else plain(ENOUGH.quantize(amount, CENTS)) for name, amount in sums.items()},
        **{name: None if each is None else plain(each) for name, each in lots.items()},
    }
