"""Answers: what the asker of a command hears, the same however often it is asked."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import StopOutMode
from piggy.core.events import Check, CommandRefused, OrderShadowed, PositionsClosed, RoutingDecision, Verdict
from piggy.core.orders import OrderState, OrderTerms

# Refused by the engine and not by the desk, for want of room to write: nothing is recorded, and asked again it is new.
STORAGE_FULL = "STORAGE_FULL"


class OrderView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order as of one event; quantities are lots, `average_price` is 0 until the first fill."""

    order_id: str
    terms: OrderTerms
    state: OrderState
    filled: Decimal
    leaves: Decimal
    average_price: Decimal
    group: str
    source: str
    reasons: tuple[Check, ...]
    routing: RoutingDecision | None
    text: str = ""


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would do to its account, in the account's currency; None where a price or rate is missing.

    `released` is what of what is bound now would come free: of what it closes, or of the order that it changes.
    `lots_before` and `lots_after` are the account's signed net lots of the symbol, `exposure_*` their worth; after:
    with all of the order dealt at prices of now. `realised` is what that closes would bring, before commission.
    """

    required: Decimal | None
    free_before: Decimal | None
    free_after: Decimal | None
    verdict: Verdict
    released: Decimal | None = None
    realised: Decimal | None = None
    lots_before: Decimal | None = None
    lots_after: Decimal | None = None
    exposure_before: Decimal | None = None
    exposure_after: Decimal | None = None


class HeldPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position as its owner could close it now; signed lots, `floating` in the account's currency before commission.

    At `settles_at_us` it settles so many `nights`, which bring `swap` at prices of now; below zero it is charged. None
    where a price or rate is missing.
    """

    position_id: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    close_price: Decimal | None
    floating: Decimal | None
    settles_at_us: int
    nights: int
    swap: Decimal | None


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """One close of a stop-out that did not happen; unsigned lots."""

    position_id: str
    quantity: Decimal
    price: Decimal


class Brink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a symbol's price, all others still, would have the account stopped out, and what would then be closed.

    `price` is the one at which the account could close what loses; None where all it loses is by conversion. `closes`
    is None where there is too much to say, and empty while nobody would deal.
    """

    symbol: str
    price: Decimal | None
    closes: tuple[Close, ...] | None


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """An account now, in its currency; equity, and what follows from it, is None where a price or rate is missing.

    `balance` holds the `credit`; `reserved_margin` is what working orders bind.
    """

    account_id: str
    currency: str
    balance: Decimal
    credit: Decimal
    floating: Decimal | None
    equity: Decimal | None
    used_margin: Decimal
    reserved_margin: Decimal
    maintenance_margin: Decimal
    free_margin: Decimal | None
    level_percent: Decimal | None
    margin_call_percent: Decimal
    stop_out_percent: Decimal
    stop_out_mode: StopOutMode
    margin_called: bool
    positions: tuple[HeldPosition, ...]
    brinks: tuple[Brink, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`conflict` is set where another body came under the same command id; `duplicate` where the same came again."""

    command_id: str
    order: OrderView | None = None
    refused: CommandRefused | None = None
    shadow: OrderShadowed | None = None
    duplicate: bool = False
    conflict: bool = False
    what_if: WhatIf | None = None
    outlook: Outlook | None = None
    closed: PositionsClosed | None = None


# Events that are told to the asker as they are, and where in the answer.
TOLD_AS: dict[type, str] = {CommandRefused: "refused", OrderShadowed: "shadow", PositionsClosed: "closed"}


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk knows of commands that were done: the latest answers (command id, request hash, answer, order id)
    and, as filters, the ids of all before them."""

    answers: list[tuple[str, str, Answer, str]]
    filters: list[bytes]
    forgotten: int
