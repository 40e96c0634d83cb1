from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView, Refused, Unavailable
from apps.common.asked import asked, wish
from apps.common.openapi import PAGE, page_of
from apps.common.pages import page
from apps.trading import selectors, services
from apps.trading.api import serializers
from apps.trading.api.filters import CancelsAsked, FillsAsked, OrdersAsked, PositionsAsked
from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.orders import OrderState

KEY_CHARACTERS_MAX = 255
WAIT_S_DEFAULT = 2
RETRY_AFTER_S = 1
DESK_AWAY_RETRY_S = 5
_Told = TypeVar("_Told")
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


class Orders(ApiView):
    """The caller's orders."""

    @extend_schema(
        operation_id="orders_place",
        request=serializers.OrderIn,
        parameters=[KEY, PREFER],
        responses={201: serializers.OrderOut} | UNDECIDED,
    )
    def post(self, request: Request) -> Response:
        """Place an order; the answer is the desk's decision, committed."""
        _key(request)  # A missing key is said before a bad body.
        body = serializers.OrderIn(data=request.data)
        body.is_valid(raise_exception=True)
        return _asked(self, request, services.place_order, done=status.HTTP_201_CREATED, terms=body.terms())

    @extend_schema(
        operation_id="orders_list", parameters=[*PAGE, OrdersAsked], responses=page_of(serializers.OrderRowOut)
    )
    def get(self, request: Request) -> Response:
        """List the caller's orders, newest first."""
        rows = asked(request=request, by=OrdersAsked, rows=selectors.orders_of(user=request.user))
        return page(
            request=request,
            tenant=self.tenant(request),
            rows=rows,
            key="seq",
            serializer=serializers.OrderRowOut,
            told=selectors.with_terms,
        )

    @extend_schema(
        operation_id="orders_cancel_all",
        parameters=[CancelsAsked, PREFER],
        request=None,
        responses={200: serializers.CancelsOut},
    )
    def delete(self, request: Request) -> Response:
        """Cancel all orders of an account, or those in one symbol, that work when this is asked; exits stay.

        Asked again it cancels what was placed since, too, whatever the key. Exits are taken off their position.
        """
        named = wish(request=request, by=CancelsAsked).validated_data
        key = _key(request) if "Idempotency-Key" in request.headers else uuid.uuid4().hex
        account_id, symbol = named["account_id"], named.get("symbol")
        told = _told(self, request, services.cancel_all, account_id=account_id, symbol=symbol, key=key)
        results = [serializers.cancel_told(order_id=order_id, answer=answer) for order_id, answer in told.answers]
        return Response({"results": results, "complete": told.complete})


class Order(ApiView):
    """One of the caller's orders."""

    @extend_schema(operation_id="orders_get", responses=serializers.OrderRowOut)
    def get(self, request: Request, order_id: str) -> Response:
        """Show an order; another client's is answered like one that does not exist."""
        row = selectors.order_of(user=request.user, order_id=order_id)
        if row is None:
            raise NotFound
        (shown,) = selectors.with_terms(lines=[row])
        return Response(serializers.OrderRowOut(shown).data)

    @extend_schema(
        operation_id="orders_cancel",
        parameters=[PREFER],
        request=None,
        responses={200: serializers.OrderOut} | UNDECIDED,
    )
    def delete(self, request: Request, order_id: str) -> Response:
        """Cancel what is left of an order."""
        key = _key(request) if "Idempotency-Key" in request.headers else uuid.uuid4().hex
        answer = _told(self, request, services.cancel_order, order_id=order_id, key=key)
        return _answered(request, answer, done=status.HTTP_200_OK)

    @extend_schema(
        operation_id="orders_amend",
        request=serializers.AmendIn,
        parameters=[KEY, PREFER],
        responses={200: serializers.OrderOut} | UNDECIDED,
    )
    def patch(self, request: Request, order_id: str) -> Response:
        """Ask for other terms of a working order; fewer lots, another time to work or other exits keep its place.

        What was filled has exits of its own already: orders that are changed by their own ids.
        """
        changes = serializers.AmendIn(data=request.data)
        changes.is_valid(raise_exception=True)
        return _asked(self, request, services.amend_order, order_id=order_id, changes=dict(changes.validated_data))


class WhatIf(ApiView):
    """What an order would do, asked before it is placed."""

    @extend_schema(
        operation_id="orders_what_if",
        request=serializers.OrderIn,
        parameters=[PREFER],
        responses={200: serializers.WhatIfOut},
    )
    def post(self, request: Request) -> Response:
        """Say what the order would bind, what it would leave free, and all that speaks against it; nothing is done."""
        body = serializers.OrderIn(data=request.data)
        body.is_valid(raise_exception=True)
        terms = body.terms()
        told = _told(self, request, services.what_if, terms=terms)
        return Response(serializers.what_if_told(told, terms=terms))


class Requote(ApiView):
    """The price that a dealer offers in place of the one asked for."""

    @extend_schema(
        operation_id="orders_answer_requote",
        request=serializers.RequoteIn,
        parameters=[KEY, PREFER],
        responses={200: serializers.OrderOut} | UNDECIDED,
    )
    def post(self, request: Request, order_id: str) -> Response:
        """Take or decline it; accepted, the order is dealt there, or better where the market came back."""
        given = serializers.RequoteIn(data=request.data)
        given.is_valid(raise_exception=True)
        accept = given.validated_data["accept"]
        return _asked(self, request, services.answer_requote, order_id=order_id, accept=accept)


class Fills(ApiView):
    @extend_schema(operation_id="fills_list", parameters=[*PAGE, FillsAsked], responses=page_of(serializers.FillOut))
    def get(self, request: Request) -> Response:
        """List the caller's fills, newest first."""
        rows = asked(request=request, by=FillsAsked, rows=selectors.fills_of(user=request.user))
        return page(request=request, tenant=self.tenant(request), rows=rows, key="seq", serializer=serializers.FillOut)


class Positions(ApiView):
    @extend_schema(
        operation_id="positions_list", parameters=[*PAGE, PositionsAsked], responses=page_of(serializers.PositionOut)
    )
    def get(self, request: Request) -> Response:
        """List the caller's open positions."""
        rows = asked(request=request, by=PositionsAsked, rows=selectors.positions_of(user=request.user))
        return page(
            request=request,
            tenant=self.tenant(request),
            rows=rows,
            key="position_id",
            serializer=serializers.PositionOut,
        )


class Position(ApiView):
    """One of the caller's open positions."""

    @extend_schema(
        operation_id="positions_set_exits",
        request=serializers.ExitsIn,
        parameters=[KEY, PREFER],
        responses={200: serializers.ExitsOut} | UNDECIDED,
    )
    def patch(self, request: Request, position_id: str) -> Response:
        """Give all of a position a take profit or a stop loss, another one, or none (null); what is left out stays.

        They work as orders that only reduce, listed with the others; for a part of it they are placed as such.
        """
        exits = serializers.ExitsIn(data=request.data)
        exits.is_valid(raise_exception=True)
        asked_for = dict(exits.validated_data)
        answer = _told(
            self, request, services.set_exits, key=_key(request), request_hash=_hash(request.data),
            position_id=position_id, exits=asked_for,
        )  # fmt: skip
        response = _answered(request, answer, done=status.HTTP_200_OK)
        if response.status_code != status.HTTP_200_OK:
            return response
        return Response(serializers.ExitsOut({"position_id": position_id, **asked_for}).data)


def _asked(
    view: ApiView, request: Request, ask: Callable[..., Answer | None], *, done: int = status.HTTP_200_OK, **wish: Any
) -> Response:
    """Ask under the caller's key; `done` is the status of what was carried out."""
    answer = _told(view, request, ask, key=_key(request), request_hash=_hash(request.data), **wish)
    return _answered(request, answer, done=done)


def _told(view: ApiView, request: Request, ask: Callable[..., _Told], **wish: Any) -> _Told:
    """Ask the desk for the caller, as long as he waits; where it is away, or nothing of his is meant, say so."""
    try:
        return ask(
            tenant=view.tenant(request),
            user=request.user,
            request_id=_request_id(request),
            wait_s=_wait_s(request),
            now_us=time.time_ns() // 1_000,
            **wish,
        )
    except services.UnableToTrade as error:
        raise NotFound from error
    except services.UnableToReachDesk as error:
        raise _away(error) from error


def _answered(request: Request, answer: Answer | None, *, done: int) -> Response:
    if answer is None:
        waiting = {
            "state": "pending",
            "message": "Not decided yet. Repeat this request under the same Idempotency-Key for the answer.",
            "request_id": _request_id(request),
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
            return _denied(request, serializers.reasons_of_change(answer.refused.reasons, changes=changes))
        raise Refused(code=answer.refused.code, field=answer.refused.field or None, message=answer.refused.text)
    if answer.order is None:
        return Response(status=done)
    body = serializers.order_of_view(answer.order)
    if answer.order.state is OrderState.DENIED:
        return _denied(request, body["reasons"], order=body)
    return Response(body, status=done, headers={"Location": f"/api/v1/orders/{answer.order.order_id}"})


def _denied(request: Request, reasons: list[dict[str, str | None]], **order: Any) -> Response:
    """Name the first reason as every error does, and beside it all of them."""
    first = reasons[0] if reasons else {"code": "denied", "field": None, "message": "The desk refused."}
    body = {**first, "request_id": _request_id(request), "errors": reasons, **order}
    return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY)


def _away(error: services.UnableToReachDesk) -> Unavailable:
    code = STORAGE_FULL if isinstance(error, services.UnableToRecord) else "ENGINE_RECOVERING"
    return Unavailable(message=str(error), code=code, retry_after_s=DESK_AWAY_RETRY_S)


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > KEY_CHARACTERS_MAX or not re.match(KEY_PATTERN, key):
        message = f"Send 1 to {KEY_CHARACTERS_MAX} printable ASCII characters of your own choice."
        raise Refused(code="idempotency_key", field="Idempotency-Key", message=message, status=400)
    return key


def _hash(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _wait_s(request: Request) -> int:
    asked = WAIT.search(request.headers.get("Prefer", ""))
    return max(1, min(int(asked[1]), services.WAIT_S_MAX)) if asked else WAIT_S_DEFAULT


def _request_id(request: Request) -> str:
    return getattr(request._request, "request_id", "")
