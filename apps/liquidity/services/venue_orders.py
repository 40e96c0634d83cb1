"""Orders on their way to an LP: a row is committed before its order leaves, so that none is ever sent twice."""

from __future__ import annotations

from apps.liquidity.models import VenueOrder
from piggy.core.events import ChildOrderCreated


def claim_order(*, child: ChildOrderCreated, client_id: str) -> tuple[VenueOrder, bool]:
    """Return the order's row and whether it is new; only who made it may send it. Committed on return.

    `client_id` is what the LP will know the order by.
    """
    return VenueOrder.objects.get_or_create(
        venue=child.venue,
        cl_ord_id=child.cl_ord_id,
        defaults={
            "client_id": client_id,
            "order_id": child.order_id,
            "symbol": child.symbol,
            "side": child.side,
            "quantity": child.quantity,
            "limit_price": child.limit_price,
            "time_in_force": child.time_in_force,
        },
    )


def mark_sent(*, venue: str, cl_ord_id: str) -> None:
    """Note that the order left, unless its report was quicker."""
    VenueOrder.objects.filter(venue=venue, cl_ord_id=cl_ord_id, state=VenueOrder.State.PERSISTED).update(
        state=VenueOrder.State.SENT
    )
