from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors as accounts
from apps.common.api import ApiView
from apps.common.openapi import page_of
from apps.risk import selectors, services
from piggy.core.money import plain


class AccountOut(serializers.Serializer):
    """An account with its money as text, in its currency, as of the last event shown to people."""

    account_id = serializers.CharField()
    currency = serializers.CharField()
    category = serializers.CharField()
    position_mode = serializers.CharField()
    open = serializers.BooleanField()
    balance = serializers.CharField()
    used_margin = serializers.CharField()
    margin_called = serializers.BooleanField()


class NoticeOut(serializers.Serializer):
    """A position lost another tenth of its initial value; money as text, in the account's currency."""

    account_id = serializers.CharField()
    position_id = serializers.CharField()
    symbol = serializers.CharField()
    percent = serializers.IntegerField()
    initial = serializers.CharField()
    value = serializers.CharField()
    currency = serializers.CharField()
    price = serializers.CharField()
    at = serializers.DateTimeField()


class RiskWarningOut(serializers.Serializer):
    """What a page that offers this broker's CFDs has to say; `percent` is null where no figure may be said."""

    percent = serializers.CharField(allow_null=True)
    text = serializers.CharField()
    measured_at = serializers.DateTimeField(allow_null=True)


class Notices(ApiView):
    @extend_schema(operation_id="notices_list", responses=page_of(NoticeOut))
    def get(self, request: Request) -> Response:
        """List what the caller has to be told of his positions, the newest first; each is told once it is here."""
        rows = services.fetch_notices(user=request.user, at=timezone.now())
        results = [_noted(row) for row in rows]
        return Response({"results": NoticeOut(results, many=True).data, "next_cursor": None})


class RiskWarning(ApiView):
    """For anybody: a broker's own site says it too."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(operation_id="risk_warning", responses=RiskWarningOut, auth=[])
    def get(self, request: Request) -> Response:
        """Show how many retail accounts lose money here, and the words to say it with."""
        return Response(RiskWarningOut(selectors.warning_told()).data)


class Accounts(ApiView):
    @extend_schema(operation_id="accounts_list", responses=page_of(AccountOut))
    def get(self, request: Request) -> Response:
        """List the caller's trading accounts."""
        rows = list(accounts.accounts_of(user=request.user))
        money = selectors.money_of(account_ids=[row.account_id for row in rows])
        results = [_shown(row, money[row.account_id]) for row in rows]
        return Response({"results": AccountOut(results, many=True).data, "next_cursor": None})


def _noted(row: Any) -> dict[str, Any]:
    money = {name: plain(getattr(row, name)) for name in ("initial", "value", "price")}
    kept = ("account_id", "position_id", "symbol", "percent", "currency", "at")
    return {**{name: getattr(row, name) for name in kept}, **money}


def _shown(row: Any, money: selectors.Money) -> dict[str, Any]:
    return {
        "account_id": row.account_id,
        "currency": row.currency,
        "category": row.category,
        "position_mode": row.position_mode,
        "open": row.open,
        "balance": plain(money.balance),
        "used_margin": plain(money.used_margin),
        "margin_called": money.margin_called,
    }
