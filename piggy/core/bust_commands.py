"""Commands by which a person takes a client's fill back or restates its price; asked like those of commands.py."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.command import Command
from piggy.core.money import ZERO
from piggy.core.orders import Side


class FillOnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A client's fill as the log has it: event `seq`, recorded `at_us`. Whoever asks reads it there.

    `written_off` is what the house gave the account in the same command because the fill left it below zero. A fill
    that was dealt anew stands in the place of event `place_seq` of `place_at_us`, else in its own.
    """

    seq: int
    at_us: int
    order_id: str
    account_id: str
    fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    raw_price: Decimal
    book: str
    counterparty: str
    position_id: str
    commission: Decimal
    conversion_rate: Decimal
    commission_accrued: Decimal = ZERO
    markup_revenue: Decimal = ZERO
    margin_percent: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO
    news_until_us: int = 0
    cl_ord_id: str = ""
    venue_fill_id: str = ""
    written_off: Decimal = ZERO
    premium: Decimal = ZERO
    guarantee_cost: Decimal = ZERO
    realised: Decimal | None = None
    realised_quote: Decimal | None = None
    place_seq: int = 0
    place_at_us: int = 0
    turnover: Decimal | None = None


class BustFills(Command, frozen=True, kw_only=True):
    """Take these fills back, all or none; of clients who met each other both sides are named. `batch` links them."""

    fills: tuple[FillOnRecord, ...]
    reason: str
    by: str
    batch: str = ""


class CorrectFill(Command, frozen=True, kw_only=True):
    """Deal a fill anew at another price, in its place."""

    fill: FillOnRecord
    price: Decimal
    reason: str
    by: str


BustCommand = BustFills | CorrectFill
