"""The numbers that the compiled book speaks in; `book.pyx` carries the same ones (its tests fail where they differ)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from piggy.core.orders import SelfTradePrevention, Side


class BookSide(IntEnum):
    BUY = 0
    SELL = 1


class Op(IntEnum):
    """What a command in a batch asks for."""

    NEW = 0
    CANCEL = 1
    AMEND = 2


class Flag(IntFlag):
    """How an order may trade; 0 is a plain limit order that rests. MARKET ignores the price and never rests."""

    NONE = 0
    IOC = 1
    FOK = 2
    POST_ONLY = 4
    ALL_OR_NONE = 8
    MARKET = 16


class Stp(IntEnum):
    """Self-trade prevention, chosen by the incoming order, between orders of one `owner` other than 0."""

    CANCEL_NEWEST = 0
    CANCEL_OLDEST = 1
    CANCEL_BOTH = 2
    DECREMENT = 3


class Kind(IntEnum):
    """An event is (kind, order_id, maker_id, price, qty, detail).

    FILLED: order_id took qty from maker_id at its price; detail is what is left of the maker. RESTED: qty went on the
    book. CANCELLED, REJECTED: qty was not traded, detail is a Reason. AMENDED: the order now has price and qty.
    DECREMENTED: order_id and maker_id both lost qty without a trade; detail is what is left of the maker.
    """

    FILLED = 1
    RESTED = 2
    CANCELLED = 3
    REJECTED = 4
    AMENDED = 5
    DECREMENTED = 6


class Reason(IntEnum):
    ASKED = 0
    IMMEDIATE = 1
    FILL_OR_KILL = 2
    MINIMUM = 3
    SELF_TRADE = 4
    POST_ONLY = 5
    DUPLICATE = 6
    UNKNOWN = 7
    BAD_TERMS = 8


SIDES = {Side.BUY: BookSide.BUY, Side.SELL: BookSide.SELL}
STP_MODES = {mode: Stp[mode.name] for mode in SelfTradePrevention}
