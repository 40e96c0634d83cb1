"""Events of cancelling what lives at a venue: asking is ours, the end of the leg is the venue's to say."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.orders import Side
from piggy.core.verdicts import Event


class ChildCancelRequested(Event, frozen=True, kw_only=True):
    """A leg is to end; `quantity` is its whole quantity in lots. Its order is not worked again and ends as `outcome`.

    Where the order is kept, only the leg is to go: the desk wants nothing at that venue, or nothing of the house's own.
    """

    order_id: str
    cl_ord_id: str
    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    reason: str
    outcome: str = "cancelled"
    keeps_order: bool = False


class ChildCancelRejected(Event, frozen=True, kw_only=True):
    """The venue keeps the leg; the order works on as if nobody had asked."""

    order_id: str
    cl_ord_id: str
    venue: str
    text: str
    occurred_at_us: int
