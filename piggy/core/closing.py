"""Closing: how the desk itself closes a position: in a stop-out, for a person who flattens, where an option expired."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.orders import OrderTerms, SelfTradePrevention, TimeInForce
from piggy.core.positions import Position


def closing_terms(
    *, position: Position, lots: Decimal, tag: str, stp: SelfTradePrevention = SelfTradePrevention.CANCEL_OLDEST
) -> OrderTerms:
    """Return the terms by which the desk itself closes so many `lots` of a position; `tag` says why.

    An order of its owner's own that rests in its way ends, else that would keep the position from being closed.
    """
    return OrderTerms(
        account_id=position.account_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=lots,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        position_id=position.position_id,
        stp=stp,
        tag=tag,
    )
