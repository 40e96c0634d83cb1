"""Orders that wait for a dealer: take one in hand, fill, requote, pass on, refuse; what is fair the core decides."""

from __future__ import annotations

from decimal import Decimal

from apps.dealing.services.acting import Outcome, Wish, perform
from piggy.core.commands import AnyCommand
from piggy.core.dealer_commands import (
    ClaimOrder,
    DealAt,
    FillByDealer,
    PassOrderOn,
    RejectByDealer,
    RejectReason,
    RequoteOrder,
)


def claim_request(*, wish: Wish, order_id: str) -> Outcome:
    """Take it in hand: for a while nobody else may answer it."""
    return _answer(wish, order_id, ClaimOrder(order_id=order_id, by=wish.by))


def fill_request(*, wish: Wish, order_id: str, at: DealAt) -> Outcome:
    """Fill it at what was asked for, or at the market as it is now; a better market is the client's."""
    return _answer(wish, order_id, FillByDealer(order_id=order_id, by=wish.by, at=at))


def requote_request(*, wish: Wish, order_id: str, price: Decimal, valid_ms: int) -> Outcome:
    """Offer the client another price, firm for `valid_ms`, never worse than the market."""
    command = RequoteOrder(order_id=order_id, by=wish.by, price=price, valid_ms=valid_ms, reason=wish.reason)
    return _answer(wish, order_id, command)


def pass_request(*, wish: Wish, order_id: str) -> Outcome:
    """Let it go as its rule would route it without a dealer."""
    return _answer(wish, order_id, PassOrderOn(order_id=order_id, by=wish.by))


def reject_request(*, wish: Wish, order_id: str, code: RejectReason) -> Outcome:
    """Refuse it for one of the coded reasons; those that can be checked must be true."""
    return _answer(wish, order_id, RejectByDealer(order_id=order_id, by=wish.by, reason=code, text=wish.reason))


def _answer(wish: Wish, order_id: str, command: AnyCommand) -> Outcome:
    return perform(wish=wish, subject=f"order:{order_id}", command=command, waits=False)
