"""GET /desk/previews/<kind>: what a bust would take back, what a venue said of a leg, before anybody decides."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView
from apps.dealing import selectors
from apps.dealing.api import serializers
from apps.dealing.api.actions import AtTheDesk


class Preview(ApiView):
    """What an action would do; for whoever may do it."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (AtTheDesk,)

    @extend_schema(exclude=True)
    def get(self, request: Request, kind: str) -> Response:
        """Return fills, accounts with their cash and the digest that the action repeats; or a leg and its reports."""
        if kind not in PREVIEWS:
            raise NotFound
        if not selectors.may_act(request.user, kind):
            raise PermissionDenied
        given = PREVIEWS[kind](data=request.query_params.dict())
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        if "cl_ord_id" in values:
            return Response(selectors.what_the_venue_said(**values))
        return Response(msgspec.to_builtins(selectors.preview(fills=_fills(values))))


PREVIEWS: dict[str, Any] = {
    "bust-window": serializers.WindowIn,
    "bust-fill": serializers.FillNamed,
    "ask-settlement": serializers.LegNamed,
    "settle-doubt": serializers.LegNamed,
}


def _fills(values: dict[str, Any]) -> Any:
    if "seq" in values:
        return selectors.fills_of(seqs=[values["seq"]])
    return selectors.fills_in(window=values["window"])
