"""Commands about orders that wait for a dealer; asked like those of commands.py. `by` is the dealer's login."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from piggy.core.command import Command


class DealAt(StrEnum):
    """At which price a dealer fills: what the client asked for (or better), or the market as it is now."""

    REQUESTED = "requested"
    MARKET = "market"


class RejectReason(StrEnum):
    """Why a dealer may refuse an order; each is recorded, and some must be true."""

    PRICE_MOVED = "price_moved"
    OFF_QUOTES = "off_quotes"
    RISK_LIMIT = "risk_limit"
    NEWS = "news"
    SUSPECTED_ABUSE = "suspected_abuse"


class ClaimOrder(Command, frozen=True, kw_only=True):
    """Take an order in hand: for a while nobody else may answer it."""

    order_id: str
    by: str


class FillByDealer(Command, frozen=True, kw_only=True):
    """Fill all that is open of the order on the house's own book."""

    order_id: str
    by: str
    at: DealAt = DealAt.REQUESTED


class RequoteOrder(Command, frozen=True, kw_only=True):
    """Offer the client another price, firm for `valid_ms`."""

    order_id: str
    by: str
    price: Decimal
    valid_ms: int
    reason: str


class AnswerRequote(Command, frozen=True, kw_only=True):
    """The client takes or declines the price that was offered."""

    order_id: str
    account_id: str
    accept: bool


class PassOrderOn(Command, frozen=True, kw_only=True):
    """Let the order go as its rule would route it without a dealer."""

    order_id: str
    by: str


class RejectByDealer(Command, frozen=True, kw_only=True):
    order_id: str
    by: str
    reason: RejectReason
    text: str = ""


DealerCommand = ClaimOrder | FillByDealer | RequoteOrder | AnswerRequote | PassOrderOn | RejectByDealer
