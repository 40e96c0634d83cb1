"""Why signals of a strategy did nothing: what the fast door refused before it became a command."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import ApiView, Unavailable
from apps.common.fields import ZonedTime
from apps.common.times import moment
from apps.trading import selectors

RETRY_S = 5


class RefusedOut(serializers.Serializer):
    """So many `times` within a second the same, the last at `at`; `signal_id` where it was said and could be read."""

    at = serializers.SerializerMethodField()
    status = serializers.IntegerField(help_text="What its sender was answered.")
    code = serializers.CharField()
    field = serializers.CharField(help_text='"" where it is about none.')  # type: ignore[assignment]
    message = serializers.SerializerMethodField()
    address = serializers.CharField()
    signal_id = serializers.CharField()
    times = serializers.IntegerField()

    def get_at(self, line: dict[str, int]) -> str:
        """Return when it came last."""
        return ZonedTime().to_representation(moment(line["at_us"]))

    def get_message(self, line: dict[str, str]) -> str:
        """Return why it was refused, also where its sender is not told."""
        return line["why"]


class RefusedSignalsOut(serializers.Serializer):
    results = RefusedOut(many=True, help_text="Newest first, at most 50 lines, none older than a week.")
    unproven = RefusedOut(many=True, help_text="What came in its name and was not proven to be its own.")


class Refused(ApiView):
    """The latest signals of a strategy of the caller's that became no command."""

    @extend_schema(operation_id="strategies_refused", responses=RefusedSignalsOut)
    def get(self, request: Request, strategy_id: str) -> Response:
        """List what the door refused of a strategy that signals for an account of the caller's, and why."""
        if selectors.strategy_of(user=request.user, strategy_id=strategy_id) is None:
            raise NotFound
        found = selectors.refused_signals(tenant=self.tenant(request), strategy_id=strategy_id)
        if found is None:
            raise Unavailable(message="It is not known now.", code="UNAVAILABLE", retry_after_s=RETRY_S)
        return Response(RefusedSignalsOut({"results": found.own, "unproven": found.unproven}).data)
