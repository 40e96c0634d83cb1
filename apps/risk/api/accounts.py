"""GET /api/v1/accounts/<id>…: how one of the caller's accounts stands, and what moved its money."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors as accounts
from apps.common.api import ApiView, StrictInput, Unavailable
from apps.common.asked import Asked, Time, asked, wish
from apps.common.fields import DecimalText, ZonedTime, to_eight
from apps.common.openapi import PAGE, page_of
from apps.common.pages import page
from apps.common.throttles import Outlooks, PerUser
from apps.common.times import moment
from apps.risk import selectors
from apps.trading import services as trading
from apps.treasury import selectors as treasury
from piggy.core import ledger
from piggy.core.answers import Outlook

WAIT_S, DESK_AWAY_RETRY_S = 2, 5


class Money(DecimalText):
    """An amount to eight decimals, of which whole zeros are left out."""

    def to_representation(self, value: Decimal) -> str:
        """Return the text."""
        return to_eight(value)


class Instant(ZonedTime):
    """UTC microseconds, shown as an RFC 3339 time."""

    def to_representation(self, value: int) -> str:  # type: ignore[override]
        """Return the time."""
        return super().to_representation(moment(value))


class NextSwapOut(serializers.Serializer):
    """What the next rollover brings at prices of now, below zero: costs; of several nights on a triple day, of none on
    a holiday. `amount` is null where a price or a rate is missing.
    """

    at = Instant(source="settles_at_us")
    nights = serializers.IntegerField()
    amount = Money(allow_null=True, source="swap")


class HeldOut(serializers.Serializer):
    """An open position at the price at which it could be closed now; null where there is none."""

    position_id = serializers.CharField()
    symbol = serializers.CharField()
    quantity = DecimalText()
    average_price = Money()
    close_price = Money(allow_null=True)
    floating = Money(allow_null=True)
    next_swap = NextSwapOut(source="*")


class CloseOut(serializers.Serializer):
    position_id = serializers.CharField()
    quantity = DecimalText()
    price = Money()


class BrinkOut(serializers.Serializer):
    """The price of one symbol, all others as now, at which the account is stopped out, and what is then closed.

    `price` is that of a close; null where only the conversion by it counts. `closes` is null past twenty positions.
    """

    symbol = serializers.CharField()
    price = Money(allow_null=True)
    closes = CloseOut(many=True, allow_null=True)


class AccountNowOut(serializers.Serializer):
    """An account now, in its currency; what needs a price or a rate that is missing is null.

    `reserved_margin` is what working orders bind. A margin call comes at `margin_call_percent`, a stop-out below
    `stop_out_percent`: `smart` closes the largest loser first, `fair` the same part of everything.
    """

    account_id = serializers.CharField()
    currency = serializers.CharField()
    balance = Money()
    credit = Money()
    floating = Money(allow_null=True)
    equity = Money(allow_null=True)
    used_margin = Money()
    reserved_margin = Money()
    maintenance_margin = Money()
    free_margin = Money(allow_null=True)
    margin_level_percent = Money(allow_null=True, source="level_percent")
    margin_call_percent = Money()
    stop_out_percent = Money()
    stop_out_mode = serializers.CharField()
    margin_called = serializers.BooleanField()
    positions = HeldOut(many=True)
    stop_out_at = BrinkOut(many=True, source="brinks")


class MovementOut(serializers.Serializer):
    """What moved an account's money: above zero it came in, and `balance` is what it left."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(sorted(set(ledger.MOVED_BY.values())))
    amount = DecimalText()
    balance = DecimalText()
    reference = serializers.CharField(help_text="The fill, the payment, or the position and its nights.")
    at = ZonedTime()


class StatementOut(serializers.Serializer):
    """An account's money over a time: `closing_balance` is `opening_balance` with all that is in `moved`, by kind."""

    account_id = serializers.CharField()
    currency = serializers.CharField()
    since = ZonedTime(allow_null=True)
    until = ZonedTime(allow_null=True)
    opening_balance = DecimalText()
    closing_balance = DecimalText()
    moved = serializers.DictField(child=DecimalText())


class MarginEventOut(serializers.Serializer):
    """A margin call, its end, a stop-out or a write-off, with the account as it then was; null where none applies."""

    id = serializers.IntegerField(source="seq")
    kind = serializers.ChoiceField(["margin_call", "restored", "stop_out", "written_off"])
    equity = DecimalText(allow_null=True)
    used_margin = DecimalText(allow_null=True)
    margin_level_percent = DecimalText(allow_null=True, source="level_percent")
    detail = serializers.ListField(
        child=serializers.CharField(), help_text="Positions closed, or what was written off."
    )
    at = ZonedTime()


class MovementsAsked(Asked):
    LOOKUPS: ClassVar = {"since": "entry__booked_at__gte", "until": "entry__booked_at__lt"}

    since = Time(required=False, help_text="Booked then or later.")
    until = Time(required=False, help_text="Booked before.")


class MarginEventsAsked(Asked):
    LOOKUPS: ClassVar = {"since": "at__gte", "until": "at__lt"}

    since = Time(required=False)
    until = Time(required=False)


class StatementAsked(StrictInput):
    since = Time(required=False, help_text="From then on; without it, from the beginning.")
    until = Time(required=False, help_text="Until right before; without it, until now.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an end before the beginning: no account had then what it had at both."""
        if "since" in attrs and "until" in attrs and attrs["until"] < attrs["since"]:
            raise serializers.ValidationError({"until": [ErrorDetail("This is before `since`.", "before_since")]})
        return attrs


class Account(ApiView):
    """One of the caller's accounts."""

    throttle_classes = (PerUser, Outlooks)

    @extend_schema(operation_id="accounts_get", responses=AccountNowOut)
    def get(self, request: Request, account_id: str) -> Response:
        """Show equity, margin and every position at this moment's prices, and at which price a stop-out comes."""
        try:
            found: Outlook = trading.outlook(
                tenant=self.tenant(request),
                user=request.user,
                account_id=account_id,
                request_id=getattr(request._request, "request_id", ""),
                wait_s=WAIT_S,
                now_us=time.time_ns() // 1_000,
            )
        except trading.UnableToTrade as error:
            raise NotFound from error
        except trading.UnableToReachDesk as error:
            raise Unavailable(message=str(error), code="ENGINE_RECOVERING", retry_after_s=DESK_AWAY_RETRY_S) from error
        return Response(AccountNowOut(found).data)


class Movements(ApiView):
    """What moved the money of one of the caller's accounts."""

    @extend_schema(
        operation_id="accounts_movements", parameters=[*PAGE, MovementsAsked], responses=page_of(MovementOut)
    )
    def get(self, request: Request, account_id: str) -> Response:
        """List payments, profits and losses, commissions, swaps and all else that was booked, newest first."""
        _own(request, account_id)
        rows = asked(request=request, by=MovementsAsked, rows=treasury.movements_of(account_id=account_id))
        return page(
            request=request,
            tenant=self.tenant(request),
            rows=rows,
            key="id",
            serializer=MovementOut,
            told=treasury.told,
        )


class Statement(ApiView):
    """The money of one of the caller's accounts over a time."""

    @extend_schema(operation_id="accounts_statement", parameters=[StatementAsked], responses=StatementOut)
    def get(self, request: Request, account_id: str) -> Response:
        """Show what there was, what came and went, by kind, and what there was after it."""
        currency = _own(request, account_id).currency
        times = wish(request=request, by=StatementAsked).validated_data
        since, until = times.get("since"), times.get("until")
        sums = treasury.totals(account_id=account_id, since=since, until=until)
        shown = {
            "account_id": account_id,
            "currency": currency,
            "since": since,
            "until": until,
            "opening_balance": sums.opening,
            "closing_balance": sums.closing,
            "moved": sums.moved,
        }
        return Response(StatementOut(shown).data)


class MarginEvents(ApiView):
    """The margin calls of one of the caller's accounts."""

    @extend_schema(
        operation_id="accounts_margin_events", parameters=[*PAGE, MarginEventsAsked], responses=page_of(MarginEventOut)
    )
    def get(self, request: Request, account_id: str) -> Response:
        """List margin calls, their ends, stop-outs and write-offs, newest first."""
        _own(request, account_id)
        rows = asked(request=request, by=MarginEventsAsked, rows=selectors.margin_events_of(account_id=account_id))
        return page(request=request, tenant=self.tenant(request), rows=rows, key="seq", serializer=MarginEventOut)


def _own(request: Request, account_id: str) -> Any:
    """Return the caller's account. Raises NotFound, alike where it is another's and where there is none."""
    found = accounts.account_of(user=request.user, account_id=account_id)
    if found is None:
        raise NotFound
    return found
