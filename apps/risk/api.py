from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import selectors as accounts
from apps.common.api import ApiView
from apps.common.openapi import page_of
from apps.risk import selectors
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


class Accounts(ApiView):
    @extend_schema(operation_id="accounts_list", responses=page_of(AccountOut))
    def get(self, request: Request) -> Response:
        """List the caller's trading accounts."""
        rows = list(accounts.accounts_of(user=request.user))
        money = selectors.money_of(account_ids=[row.account_id for row in rows])
        results = [_shown(row, money[row.account_id]) for row in rows]
        return Response({"results": AccountOut(results, many=True).data, "next_cursor": None})


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
