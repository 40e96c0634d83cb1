"""What every request to the desk has in common: its key, how long it waits, and how the desk's answer is told."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView, Refused, Unavailable
from apps.trading import services
from apps.trading.api import serializers
from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.orders import OrderState

KEY_CHARACTERS_MAX = 255
WAIT_S_DEFAULT = 2
RETRY_AFTER_S = 1
DESK_AWAY_RETRY_S = 5
Told = TypeVar("Told")
WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])", re.ASCII)
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
KEY_SHAPE = {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": KEY_PATTERN}
KEY_SAYS = "Of your own choice. The same key and body hear one answer, also while it is made; another body hears 422."
KEY = OpenApiParameter("Idempotency-Key", KEY_SHAPE, OpenApiParameter.HEADER, required=True, description=KEY_SAYS)
PREFER = OpenApiParameter("Prefer", str, OpenApiParameter.HEADER, description="wait=N: seconds to wait, at most 10.")

UNDECIDED = {
    202: OpenApiResponse(serializers.PendingOut, "Not decided within the wait; repeat under the same key."),
    422: OpenApiResponse(serializers.DeniedOut, "Denied with every reason, or another body under the same key."),
}


def answer_of(
    view: ApiView, request: Request, ask: Callable[..., Answer | None], *, done: int = status.HTTP_200_OK, **wish: Any
) -> Response:
    """Ask under the caller's key; `done` is the status of what was carried out."""
    answer = hear(view, request, ask, key=key_of(request), request_hash=hash_of(request.data), **wish)
    return answered(request, answer, done=done)


def hear(view: ApiView, request: Request, ask: Callable[..., Told], **wish: Any) -> Told:
    """Ask the desk for the caller, as long as he waits; where it is away, or nothing of his is meant, say so."""
    try:
        return ask(
            tenant=view.tenant(request),
            user=request.user,
            request_id=request_id_of(request),
            wait_s=wait_s_of(request),
            now_us=time.time_ns() // 1_000,
            **wish,
        )
    except services.UnableToTrade as error:
        raise NotFound from error
    except services.UnableToReachDesk as error:
        raise away(error) from error


def answered(request: Request, answer: Answer | None, *, done: int) -> Response:
    if answer is None:
        waiting = {
            "state": "pending",
            "message": "Not decided yet. Repeat this request under the same Idempotency-Key for the answer.",
            "request_id": request_id_of(request),
        }
        return Response(waiting, status=status.HTTP_202_ACCEPTED, headers={"Retry-After": str(RETRY_AFTER_S)})
    if answer.conflict:
        message = "This Idempotency-Key was used for another body."
        raise Refused(code="idempotency_conflict", field="Idempotency-Key", message=message)
    if answer.refused is not None:
        if answer.refused.code == STORAGE_FULL:
            raise Unavailable(message=answer.refused.text, code=STORAGE_FULL, retry_after_s=DESK_AWAY_RETRY_S)
        if answer.refused.reasons:
            changes = request.data if isinstance(request.data, dict) else {}
            return denied(request, serializers.reasons_of_change(answer.refused.reasons, changes=changes))
        raise Refused(code=answer.refused.code, field=answer.refused.field or None, message=answer.refused.text)
    if answer.order is None:
        return Response(status=done)
    body = serializers.order_of_view(answer.order)
    if answer.order.state is OrderState.DENIED:
        return denied(request, body["reasons"], order=body)
    return Response(body, status=done, headers={"Location": f"/api/v1/orders/{answer.order.order_id}"})


def denied(request: Request, reasons: list[dict[str, str | None]], **order: Any) -> Response:
    """Name the first reason as every error does, and beside it all of them."""
    first = reasons[0] if reasons else {"code": "denied", "field": None, "message": "The desk refused."}
    body = {**first, "request_id": request_id_of(request), "errors": reasons, **order}
    return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY)


def away(error: services.UnableToReachDesk) -> Unavailable:
    code = STORAGE_FULL if isinstance(error, services.UnableToRecord) else "ENGINE_RECOVERING"
    return Unavailable(message=str(error), code=code, retry_after_s=DESK_AWAY_RETRY_S)


def key_of(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_CHARACTERS_MAX or not re.match(KEY_PATTERN, key):
        message = f"Send 1 to {KEY_CHARACTERS_MAX} printable ASCII characters of your own choice."
        raise Refused(code="idempotency_key", field="Idempotency-Key", message=message, status=400)
    return key


def hash_of(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def wait_s_of(request: Request) -> int:
    asked = WAIT.search(request.headers.get("Prefer", ""))
    return max(1, min(int(asked[1]), services.WAIT_S_MAX)) if asked else WAIT_S_DEFAULT


def request_id_of(request: Request) -> str:
    return getattr(request._request, "request_id", "")
