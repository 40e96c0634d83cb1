"""Gifts: what the house gave so that no account stays below nothing, and what stands of it once fills are taken back.

A gift made good what an account was short of when it held nothing. Without a fill from before it the account was short
of something else, or still held what the fill had opened or closed, and then nothing was due: what it is short of once
it holds nothing any more is made good anew. So the order in which fills go back makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from piggy.core.money import ZERO, round_money

GIFTS_MAX = 16  # Of an account; what was given before stands.


class Held(msgspec.Struct, frozen=True, gc=False):
    """What of a position is different: signed `lots`, and what they cost beyond what was booked, in the quote currency.

    `rate` is the latest, of the account's currency for one of that.
    """

    lots: Decimal = ZERO
    quote: Decimal = ZERO
    rate: Decimal = ZERO


class Gift(msgspec.Struct, frozen=True, kw_only=True):
    """`given` is what stands of what event `seq` gave to an account that had `balance` and held nothing.

    Both balance and `held`, by position, are as they had been without the fills that were taken back.
    """

    seq: int
    balance: Decimal
    given: Decimal
    held: dict[str, Held] = {}


class Move(NamedTuple):
    """What came to an account, and to a position of it, in the place of event `seq`."""

    seq: int
    amount: Decimal
    position_id: str = ""
    held: Held = Held()


Gifts = tuple[Gift, ...]
NOTHING = Held()


def after_moves(*, gifts: Gifts, moves: Iterable[Move]) -> Gifts:
    """Return `gifts` with what was different before each."""
    for move in moves:
        gifts = tuple(_moved(gift, move) if move.seq < gift.seq else gift for gift in gifts)
    return gifts


def owed(*, gift: Gift, protected: bool, currency: str) -> Decimal:
    """Return what is to stand of a gift; no more than stands where the account is not `protected` any more."""
    if any(held.lots for held in gift.held.values()):
        return ZERO
    loose = sum((held.quote * held.rate for held in gift.held.values()), ZERO)
    short = max(ZERO, -round_money(amount=gift.balance + loose, currency=currency))
    return short if protected else min(short, gift.given)


def given(*, gifts: Gifts, seq: int, amount: Decimal) -> Gifts:
    """Return `gifts` once the one of event `seq` became so much more, and the account had that ever since."""
    more = (msgspec.structs.replace(gift, given=gift.given + amount) if gift.seq == seq else gift for gift in gifts)
    return after_moves(gifts=tuple(more), moves=[Move(seq, amount)])


def _moved(gift: Gift, move: Move) -> Gift:
    held = dict(gift.held)
    was, more = held.pop(move.position_id, NOTHING), move.held
    if was.lots + more.lots or was.quote + more.quote:
        held[move.position_id] = Held(was.lots + more.lots, was.quote + more.quote, more.rate or was.rate)
    return msgspec.structs.replace(gift, balance=gift.balance + move.amount, held=held)
