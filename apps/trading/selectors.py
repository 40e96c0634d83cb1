from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Sum

from apps.accounts import selectors as accounts
from apps.trading.models import ChildOrder, Fill, Order, Position, Strategy
from piggy.core.orders import OrderState


def orders_of(*, user: Any) -> QuerySet[Order]:
    """Return the orders of the user's own accounts."""
    return Order.objects.filter(account_id__in=_account_ids(user))


def order_of(*, user: Any, order_id: str) -> Order | None:
    """Return the order if it is the user's own, None alike where it is another's and where there is none."""
    return orders_of(user=user).filter(order_id=order_id).first()


def fills_of(*, user: Any) -> QuerySet[Fill]:
    """Return the fills of the user's own accounts."""
    return Fill.objects.filter(account_id__in=_account_ids(user))


def positions_of(*, user: Any) -> QuerySet[Position]:
    """Return the open positions of the user's own accounts."""
    return Position.objects.filter(account_id__in=_account_ids(user)).exclude(quantity=0)


def used_margin_of(*, account_ids: Iterable[str]) -> dict[str, Decimal]:
    """Return the margin that the open positions of each account hold, in its currency."""
    held = Position.objects.filter(account_id__in=list(account_ids)).exclude(quantity=0)
    return dict(held.values("account_id").annotate(used=Sum("margin")).values_list("account_id", "used"))


def legs_of(*, order_id: str) -> QuerySet[ChildOrder]:
    """Return an order's legs at venues, first attempt first."""
    return ChildOrder.objects.filter(order_id=order_id).order_by("attempt")


def all_strategies() -> QuerySet[Strategy]:
    """Return the tenant's strategies by id."""
    return Strategy.objects.order_by("strategy_id")


def _account_ids(user: Any) -> list[str]:
    return list(accounts.accounts_of(user=user).values_list("account_id", flat=True))


def engine_is_running(*, tenant: str) -> bool:
    """Return whether an engine holds the lease of the tenant's shard now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select 1 from public.engine_lease l join public.tenants_tenant t on t.shard = l.shard"
            " where t.schema_name = %s and l.expires_at > now()",
            [tenant],
        )
        return cursor.fetchone() is not None


def doubtful_count() -> int:
    """Return how many legs are in doubt: their venue has not said what became of them."""
    return ChildOrder.objects.filter(state=OrderState.IN_DOUBT.value).count()


def account_of_order(*, order_id: str) -> str | None:
    """Return the account of any client's order, None where there is no such order."""
    return Order.objects.filter(order_id=order_id).values_list("account_id", flat=True).first()
