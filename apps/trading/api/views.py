from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView
from apps.common.asked import asked, wish
from apps.common.openapi import PAGE, page_of
from apps.common.pages import page
from apps.trading import selectors, services
from apps.trading.api import serializers
from apps.trading.api.answering import KEY, PREFER, UNDECIDED, answer_of, answered, hear, key_of
from apps.trading.api.filters import CancelsAsked, FillsAsked, OrdersAsked


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
        key_of(request)  # A missing key is said before a bad body.
        body = serializers.OrderIn(data=request.data)
        body.is_valid(raise_exception=True)
        return answer_of(self, request, services.place_order, done=status.HTTP_201_CREATED, terms=body.terms())

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
        key = key_of(request) if "Idempotency-Key" in request.headers else uuid.uuid4().hex
        account_id, symbol = named["account_id"], named.get("symbol")
        told = hear(self, request, services.cancel_all, account_id=account_id, symbol=symbol, key=key)
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
        key = key_of(request) if "Idempotency-Key" in request.headers else uuid.uuid4().hex
        answer = hear(self, request, services.cancel_order, order_id=order_id, key=key)
        return answered(request, answer, done=status.HTTP_200_OK)

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
        return answer_of(self, request, services.amend_order, order_id=order_id, changes=dict(changes.validated_data))


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
        return answer_of(self, request, services.answer_requote, order_id=order_id, accept=accept)


class Fills(ApiView):
    @extend_schema(operation_id="fills_list", parameters=[*PAGE, FillsAsked], responses=page_of(serializers.FillOut))
    def get(self, request: Request) -> Response:
        """List the caller's fills, newest first."""
        rows = asked(request=request, by=FillsAsked, rows=selectors.fills_of(user=request.user))
        return page(request=request, tenant=self.tenant(request), rows=rows, key="seq", serializer=serializers.FillOut)
