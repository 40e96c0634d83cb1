"""Events of legs: what lives of an order at one venue, and what the venue says of it."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.orders import Side
from piggy.core.verdicts import Event


class ChildOrderCreated(Event, frozen=True, kw_only=True):
    """One leg for one venue. It goes to the venue's stream after this event is committed, never before.

    `markup` is what the client pays over whatever price the venue fills at, fixed here.
    """

    order_id: str
    cl_ord_id: str
    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: str
    attempt: int
    markup: Decimal | None = None


class ChildOrderAcknowledged(Event, frozen=True, kw_only=True):
    order_id: str
    cl_ord_id: str
    venue_order_id: str
    occurred_at_us: int


class ChildOrderFilled(Event, frozen=True, kw_only=True):
    """An execution at a venue, once per (venue, fill_id).

    `venue_booked`: what the house's account there made by it is told by VenueBooked, which no client is shown.
    """

    order_id: str
    cl_ord_id: str
    venue: str
    fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    occurred_at_us: int
    venue_booked: bool = False


class ChildOrderClosed(Event, frozen=True, kw_only=True):
    """The leg ended with `filled` lots; `outcome` is rejected, cancelled or expired; `code`/`text` are the venue's."""

    order_id: str
    cl_ord_id: str
    venue: str
    outcome: str
    filled: Decimal
    code: str
    text: str
    occurred_at_us: int


class ChildOrderInDoubt(Event, frozen=True, kw_only=True):
    """Nobody knows the outcome; or the venue says `filled` lots were done and we have not heard of all of them yet."""

    order_id: str
    cl_ord_id: str
    venue: str
    text: str
    occurred_at_us: int
    filled: Decimal | None = None


class VenueReportSuspended(Event, frozen=True, kw_only=True):
    """A venue reported what fits no order of ours (F-14), or broke its word: kept, never dropped, a person decides."""

    venue: str
    cl_ord_id: str
    fill_id: str
    code: str
    text: str
