"""Answers: what the asker of a command hears, the same however often it is asked."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.events import Check, CommandRefused, OrderShadowed, RoutingDecision, Verdict
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
    """What an order would do to its account, in the account's currency; None where a price or rate is missing."""

    required: Decimal | None
    free_before: Decimal | None
    free_after: Decimal | None
    verdict: Verdict


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`conflict` is set where another body came under the same command id; `duplicate` where the same came again."""

    command_id: str
    order: OrderView | None = None
    refused: CommandRefused | None = None
    shadow: OrderShadowed | None = None
    duplicate: bool = False
    conflict: bool = False
    what_if: WhatIf | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk knows of commands that were done: the latest answers (command id, request hash, answer, order id)
    and, as filters, the ids of all before them."""

    answers: list[tuple[str, str, Answer, str]]
    filters: list[bytes]
    forgotten: int
