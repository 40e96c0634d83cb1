"""Hedges under way: the lots that count as dealt though they are not yet, so that no risk is hedged twice."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.orders import OrderState
from piggy.core.state import Hedge, State


def under_way(*, state: State) -> dict[str, Decimal]:
    """Return the signed lots that hedges have yet to deal by symbol: proposed, on their way or in doubt.

    While a leg of a hedge is in doubt, those of its lots that no venue has any more are nobody's, and dealt anew. They
    stay so once the doubt is over and another leg is still out: a later hedge has them.
    """
    pending = dict(state.hedge_pending)
    for hedge_id in state.open_hedges:
        hedge = state.hedges[hedge_id]
        if hedge.state is OrderState.IN_DOUBT or (hedge.approved and _is_followed(hedge, state)):
            pending[hedge.symbol] -= hedge.side.sign * (hedge.quantity - hedge.filled - hedge.routed)
    return pending


def _is_followed(hedge: Hedge, state: State) -> bool:
    """Return whether another hedge in its symbol, of whatever policy, was proposed since."""
    latest = (state.hedges[hedge_id] for hedge_id in state.last_hedges.values())
    return any(each.symbol == hedge.symbol and each.hedge_id > hedge.hedge_id for each in latest)
