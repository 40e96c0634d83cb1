"""Open positions: listed, given exits, closed all at once."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView
from apps.common.asked import asked
from apps.common.openapi import PAGE, page_of
from apps.common.pages import page
from apps.trading import selectors, services
from apps.trading.api import position_serializers as serializers
from apps.trading.api.answering import KEY, PREFER, UNDECIDED, answered, hash_of, hear, key_of
from apps.trading.api.filters import PositionsAsked


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
        """Give all of a position a take profit or a stop, another one, or none (null); what is left out stays.

        They work as orders that only reduce, listed with the others; for a part of it they are placed as such.
        """
        exits = serializers.ExitsIn(data=request.data)
        exits.is_valid(raise_exception=True)
        asked_for = dict(exits.validated_data)
        answer = hear(
            self, request, services.set_exits, key=key_of(request), request_hash=hash_of(request.data),
            position_id=position_id, exits=asked_for,
        )  # fmt: skip
        response = answered(request, answer, done=status.HTTP_200_OK)
        if response.status_code != status.HTTP_200_OK:
            return response
        told = serializers.ExitsOut({"position_id": position_id, **asked_for}).data
        # What was left out stays as it is, so nothing is said of it.
        return Response({name: told[name] for name in ("position_id", *asked_for)})


class CloseAll(ApiView):
    """All that an account holds, closed by one request."""

    @extend_schema(
        operation_id="accounts_close_all",
        request=serializers.CloseAllIn,
        parameters=[KEY, PREFER],
        responses={200: serializers.ClosesOut} | UNDECIDED,
    )
    def post(self, request: Request, account_id: str) -> Response:
        """Close all open positions of an account at the market, or those of a symbol, that gain, or that lose.

        Each is closed by an order of its own, and each that is not says why; the others close all the same. It counts
        as one message. Orders that wait to open something stay: they are cancelled by themselves.

        Of more than can be asked for at once, `next` given as `after` goes on.
        """
        wish = serializers.CloseAllIn(data=request.data)
        wish.is_valid(raise_exception=True)
        answer = hear(
            self, request, services.close_all, key=key_of(request), request_hash=hash_of(request.data),
            account_id=account_id, **wish.asked(),
        )  # fmt: skip
        response = answered(request, answer, done=status.HTTP_200_OK)
        if response.status_code != status.HTTP_200_OK or answer is None or answer.closed is None:
            return response
        return Response(serializers.closes_told(answer.closed))
