"""Events of orders that wait for a dealer; part of the log as those of events.py are. Prices are the client's."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from piggy.core.verdicts import Event


class DealerOutcome(StrEnum):
    """How the wait for a dealer ended."""

    FILLED = "filled"
    PASSED_ON = "passed_on"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    REQUOTE_ACCEPTED = "requote_accepted"
    REQUOTE_DECLINED = "requote_declined"
    REQUOTE_EXPIRED = "requote_expired"


class OrderHeld(Event, frozen=True, kw_only=True):
    """The order waits for a dealer until `expires_at_us`; `price` is what its client would have dealt at just then."""

    order_id: str
    price: Decimal
    expires_at_us: int
    passes_on: bool


class OrderClaimed(Event, frozen=True, kw_only=True):
    order_id: str
    by: str
    until_us: int


class OrderRequoted(Event, frozen=True, kw_only=True):
    """The client was offered `price`, firm until `valid_until_us`; the market was at `market` then."""

    order_id: str
    by: str
    price: Decimal
    market: Decimal
    reason: str
    valid_until_us: int


class DealerDecided(Event, frozen=True, kw_only=True):
    """The wait is over. `asked` is the price when the order came, `market` the one now (None off quotes).

    `price` is what was dealt at, where it was. `by` is the dealer, the account for an answer, or empty for time.
    """

    order_id: str
    by: str
    outcome: DealerOutcome
    reason: str
    asked: Decimal
    market: Decimal | None
    price: Decimal | None = None


DealerEvent = OrderHeld | OrderClaimed | OrderRequoted | DealerDecided
