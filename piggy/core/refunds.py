"""Refunds: what of an order's commission goes back with a fill that is taken back."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.commissions import Charge, given_back
from piggy.core.execution import Execution
from piggy.core.pricing import commission_plan
from piggy.core.state import Order


def commission_back(*, order: Order, lots: Decimal, gone: Charge, execution: Execution) -> Decimal:
    """Return what goes back with a fill of `lots` that added `gone`, in the account's currency.

    An order's minimum stays while any of its fills stands, by whichever of them it was booked.
    """
    moment, account = execution.moment, execution.moment.account(order.terms.account_id)
    profiles = moment.profiles(account_id=account.account_id, symbol=order.terms.symbol)
    return given_back(
        plan=commission_plan(group=moment.state.groups[account.group], profiles=profiles),
        before=execution.charged(order),
        gone=gone,
        stands=execution.filled(order) > lots,
        currency=account.currency,
    )
