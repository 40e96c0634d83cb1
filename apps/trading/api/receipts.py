"""GET /api/v1/orders/<id>/receipt: how an order was executed, in a form that can be checked without us."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView
from apps.trading import selectors


class Receipt(ApiView):
    """The execution receipt of one of the caller's orders."""

    @extend_schema(operation_id="orders_receipt", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, order_id: str) -> Response:
        """Show what every LP quoted, why the order went where it went, every attempt and fill, and the slippage."""
        found = selectors.receipt_of(tenant=self.tenant(request), user=request.user, order_id=order_id)
        if found is None:
            raise NotFound
        return Response(found)
