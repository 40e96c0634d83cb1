"""Orders: what a client or the desk asks for, and the states an order passes through."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

# Sources of the desk's own orders: what settles an option, closes for a person, stops an account out, and the exits of
# an entry. Nobody sent them, so they are nobody's messages (P-14). Exits that were asked for of a position are.
EXPIRY, FLATTEN, STOP_OUT, BRACKET, EXITS = "expiry", "flatten", "stop_out", "bracket", "exits"
# What closes an account's positions at its client's, or a dealer's, one request: only that is counted (closes.py).
CLOSE_ALL = "close_all"
OF_A_POSITION = frozenset({BRACKET, EXITS})
FORCED = frozenset({EXPIRY, FLATTEN, STOP_OUT})
OF_THE_DESK = FORCED | {BRACKET}
NO_MESSAGES, NO_EXECUTIONS = OF_THE_DESK | {CLOSE_ALL}, FORCED | {CLOSE_ALL}


TIME_MAX_US = 253_402_300_799_999_999  # The end of the year 9999.


class Side(StrEnum):
    """Which way; a quantity times `sign` is signed, long positive."""

    BUY = "buy"
    SELL = "sell"

    def __init__(self, word: str) -> None:
        # Each member keeps it: what every order asks for several times is not worked out anew.
        self.sign = 1 if word == "buy" else -1

    @property
    def contra(self) -> Side:
        return _SELL if self is _BUY else _BUY


# Looking a member up in its enum class costs more than a comparison does.
_BUY, _SELL = Side.BUY, Side.SELL


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    MARKET_IF_TOUCHED = "market_if_touched"


class TimeInForce(StrEnum):
    GTC = "gtc"
    GTD = "gtd"
    DAY = "day"
    IOC = "ioc"
    FOK = "fok"


_FINAL = ("denied", "filled", "cancelled", "expired", "rejected")


class OrderState(StrEnum):
    """`IN_DOUBT` is a venue order whose outcome is unknown; it counts worst-case until settled.

    `WITH_DEALER` is an order that waits for a person's answer (dealing.py). Nothing happens to a `final` one any more.
    """

    DENIED = "denied"
    WORKING = "working"
    ROUTED = "routed"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    WITH_DEALER = "with_dealer"

    def __init__(self, word: str) -> None:
        self.final = word in _FINAL


class SelfTradePrevention(StrEnum):
    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    CANCEL_BOTH = "cancel_both"
    DECREMENT = "decrement"


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Everything the asker may choose about an order; quantities in lots, prices in the quote currency.

    `minimum_quantity` (FIX 110) is of what is shown when the desk deals: it sends no legs that could not make it. A
    venue that refuses its leg then may leave less, for others have dealt theirs; who wants all or nothing says so
    (FOK), and goes to one venue. `guaranteed_stop` is asked of the order's stop-loss, and where it has none of the
    order itself (guarantees.py).
    """

    account_id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_distance: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at_us: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    all_or_none: bool = False
    display_quantity: Decimal | None = None
    minimum_quantity: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    guaranteed_stop: bool = False
    oco_group: str | None = None
    stp: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST
    client_order_id: str = ""
    position_id: str | None = None
    tag: str = ""


def good_till_us(*, terms: OrderTerms) -> int | None:
    """Return when terms that are good till a date end, in years that every calendar has; None where they are not."""
    if terms.time_in_force is not TimeInForce.GTD or terms.expires_at_us is None:
        return None
    return min(max(terms.expires_at_us, 0), TIME_MAX_US)


def exit_of(*, terms: OrderTerms, source: str) -> tuple[str | None, str] | None:
    """Return of an exit which `take_profit` or `stop_loss` it is, after the id of the entry that it protects.

    That is None where it was asked for of a position (exits.py), and all is None of any other order: a client may name
    a group as he likes.
    """
    if source not in OF_A_POSITION:
        return None
    entry_id, _, bond = (terms.oco_group or "").rpartition("/")
    kind = "take_profit" if terms.type is OrderType.LIMIT else "stop_loss"
    return (entry_id or None) if bond != EXITS else None, kind
