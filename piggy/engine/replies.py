"""What the fast door says: one answer of the desk, or one refusal of the door, as a status with a JSON object."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.events import Check, OrderShadowed, told_checks, told_to_client
from piggy.core.orders import OrderState
from piggy.engine.http_messages import Response
from piggy.engine.signals import UnableToAcceptSignal

_encode = msgspec.json.Encoder().encode


def answered(answer: Answer | None) -> Response:
    """Return the answer's response: 200 with the order, 422 with all reasons, 409 for another body, 503 undecided."""
    if answer is None:
        undecided = {"error": "UNDECIDED", "text": "Nobody knows yet; try again with the same id."}
        return Response(503, _encode(undecided), retry_after_s=1)
    if answer.conflict:
        return said(409, {"error": "CONFLICT", "text": "Another body came under this id."})
    repeat = {"duplicate": True} if answer.duplicate else {}
    if answer.refused is not None:
        refused = answer.refused
        if refused.code == STORAGE_FULL:
            return Response(503, _encode({"error": refused.code, "text": refused.text}), retry_after_s=1)
        every = {"reasons": _reasons(refused.reasons)} if refused.reasons else {}
        return said(422, {"error": refused.code, "field": refused.field, "text": refused.text, **every, **repeat})
    if answer.shadow is not None:
        return said(200, {**_shadowed(answer.shadow), **repeat})
    order = answer.order
    if order is None:
        return said(500, {"error": "INTERNAL"})
    told: dict[str, Any] = {
        "order_id": order.order_id,
        "state": order.state,
        "symbol": order.terms.symbol,
        "side": order.terms.side,
        "quantity": _written(order.terms.quantity),
        "filled": _written(order.filled),
        "average_price": _written(order.average_price),
        "mode": order.routing.mode if order.routing else "",
        "reason": order.text,
        **repeat,
    }
    if order.state is not OrderState.DENIED:
        return said(200, told)
    return said(422, {**told, "error": "DENIED", "reasons": _reasons(order.reasons)})


def _shadowed(shadow: OrderShadowed) -> dict[str, Any]:
    return {
        "shadow": True,
        "state": "passed" if shadow.verdict.passed else "denied",
        "symbol": shadow.terms.symbol,
        "side": shadow.terms.side,
        "quantity": _written(shadow.terms.quantity),
        "filled": _written(shadow.filled),
        "average_price": _written(shadow.average_price),
        "mode": shadow.routing.mode if shadow.routing else "",
        "reasons": _reasons(shadow.verdict.reasons),
    }


def _reasons(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return told_checks(checks=told_to_client(checks=checks))


def _written(number: Decimal) -> str:
    """Return a number as we read them: a smallest part of a lot has no exponent either."""
    return format(number, "f")


def refusal(error: UnableToAcceptSignal) -> Response:
    """Return what the door answers by itself; the field is named where one is wrong."""
    named = {"field": error.field} if error.field else {}
    told = _encode({"error": error.code, **named, "text": str(error)})
    return Response(error.status, told, retry_after_s=error.retry_after_s)


def said(status: int, told: dict[str, Any], *, allow: str = "") -> Response:
    """Return `told` under a status; with 405 the method that is allowed."""
    return Response(status, _encode(told), allow=allow)
