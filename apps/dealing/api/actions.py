"""POST /desk/actions/<kind>: a dealer does something; 403 for whoever may not, whatever the body says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView, Refused, StrictInput, Unavailable
from apps.dealing import selectors, services
from apps.dealing.api import serializers

KEY_CHARACTERS_MAX = 100
STATUS = {"done": 200, "unheard": 202, "refused": 422}
AWAY_RETRY_S = 5

Verb = Callable[..., services.Outcome]


class Action(msgspec.Struct, frozen=True):
    """An action's body and the service that does it; who may is in selectors.RIGHTS."""

    body: type[drf.Serializer]
    verb: Verb


ACTIONS: dict[str, Action] = {
    "set-trading-state": Action(serializers.TradingStateIn, services.set_trading_state),
    "place-order": Action(serializers.OrderIn, services.place_order),
    "cancel-order": Action(serializers.CancelIn, services.cancel_order),
    "claim-request": Action(serializers.RequestIn, services.claim_request),
    "fill-request": Action(serializers.FillIn, services.fill_request),
    "requote-request": Action(serializers.RequoteIn, services.requote_request),
    "pass-request": Action(serializers.RequestIn, services.pass_request),
    "reject-request": Action(serializers.RejectIn, services.reject_request),
    "cover": Action(serializers.CoverIn, services.cover),
    "approve-hedge": Action(serializers.HedgeIn, partial(services.decide_hedge, approves=True)),
    "reject-hedge": Action(serializers.HedgeIn, partial(services.decide_hedge, approves=False)),
    "change-routing": Action(serializers.RoutingIn, services.change_routing),
    "widen-spread": Action(serializers.SpreadIn, services.widen_spread),
    "change-limits": Action(serializers.LimitsIn, services.change_limits),
    "approve-change": Action(serializers.ChangeIn, partial(services.approve_change, approves=True)),
    "reject-change": Action(serializers.ChangeIn, partial(services.approve_change, approves=False)),
    "end-change": Action(serializers.ChangeIn, services.end_change),
    "bust-fill": Action(serializers.BustIn, services.bust_fill),
    "correct-fill": Action(serializers.CorrectIn, services.correct_fill),
    "bust-window": Action(serializers.BustWindowIn, services.bust_window),
    "flatten": Action(serializers.FlattenIn, services.flatten),
    "change-phase": Action(serializers.PhaseIn, services.change_phase),
    "record-locates": Action(serializers.LocatesIn, services.record_locates),
    "record-volumes": Action(serializers.VolumesIn, services.record_volumes),
    "ask-override": Action(serializers.AskOverrideIn, services.ask_override),
    "grant-override": Action(serializers.GrantOverrideIn, services.grant_override),
    "ask-settlement": Action(serializers.AskSettlementIn, services.ask_settlement),
    "settle-doubt": Action(serializers.SettleIn, services.settle_doubt),
    "release-throttle": Action(serializers.AccountIn, services.release_throttle),
    "amend-order": Action(serializers.AmendIn, services.amend_order),
    "set-exits": Action(serializers.ExitsIn, services.set_exits),
    "close-all": Action(serializers.CloseAllIn, services.close_all),
    "score-account": Action(serializers.ScoreIn, services.score_account),
}
assert ACTIONS.keys() == selectors.RIGHTS.keys(), "every action has a right that it needs"


class AtTheDesk(BasePermission):
    """Staff seated at the desk, with the second factor given in this session."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Is the person who asks seated?"""
        return selectors.may_watch_desk(request.user)


class Act(ApiView):
    """One action of a dealer."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (AtTheDesk,)

    @extend_schema(exclude=True)
    def post(self, request: Request, kind: str) -> Response:
        """Do it and say what became of it; the same Idempotency-Key does it once."""
        action = ACTIONS.get(kind)
        if action is None:
            raise NotFound
        if not selectors.may_act(request.user, kind):
            raise PermissionDenied
        given = action.body(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        wish = services.Wish(
            tenant=self.tenant(request),
            by=request.user.get_username(),
            kind=kind,
            key=_key(request),
            reason=values.pop("reason"),
            body=dict(request.data),
            now=timezone.now(),
        )
        try:
            outcome = action.verb(wish=wish, **values)
        except services.UnableToAct as error:
            raise Refused(code=error.code, message=str(error), field=error.field or None) from error
        except services.UnableToReachDesk as error:
            raise Unavailable(message=str(error), code="desk_away", retry_after_s=AWAY_RETRY_S) from error
        return Response(msgspec.to_builtins(outcome), status=STATUS[outcome.state])


class LayoutIn(StrictInput):
    layout = drf.DictField()


class Layout(ApiView):
    """PUT /desk/layout: what the page remembers for its dealer."""

    Input = LayoutIn
    authentication_classes = (SessionAuthentication,)
    permission_classes = (AtTheDesk,)

    @extend_schema(exclude=True)
    def put(self, request: Request) -> Response:
        """Keep it."""
        services.save_layout(user=request.user, layout=self.valid(request)["layout"])
        return Response(status=204)


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not (0 < len(key) <= KEY_CHARACTERS_MAX and key.isascii() and key.isprintable()):
        raise ValidationError({"Idempotency-Key": [f"Send a key of 1 to {KEY_CHARACTERS_MAX} ASCII characters."]})
    return key
