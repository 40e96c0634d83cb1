"""What the pre-trade gate looks at: one order and everything the desk knows that bears on it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.accounts import Account, Group, TradingState
from piggy.core.clearance import Override as Override
from piggy.core.clearance import Permissions as Permissions
from piggy.core.events import Check
from piggy.core.instruments import Instrument
from piggy.core.limits import Limits
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side

UNSET = "the limit is not set"
UNKNOWN = "the value is not known"
# Beyond these no price or quantity means anything, and exact arithmetic runs out of digits: 1E+999999 is no crash.
NUMBER_MAX, NUMBER_MIN = Decimal(1_000_000_000_000), Decimal("1E-18")
PRICES = ("limit_price", "stop_price", "trailing_distance", "take_profit", "stop_loss")
NUMBERS = ("quantity", *PRICES, "display_quantity", "minimum_quantity")
# Looking a member up in its enum class costs more than a comparison does, and the gate makes many.
_SELL = Side.SELL


class Request(StrEnum):
    """What is asked: a new order, a change of one (terms are those after the change), or its end."""

    NEW = "new"
    REPLACE = "replace"
    CANCEL = "cancel"


@dataclass(slots=True)
class GateContext:
    """One order before the gate. Lots and prices as in the terms; money and exposures in the account's currency.

    `position_net` is signed and `position_gross` unsigned, of this account in this symbol, before the order; exposures
    are what would be open with it. Where longs and shorts stand side by side (hedging), working orders of the other
    side count as gross.
    `working_lots` are those of the account's other working orders on the order's side of the symbol.
    `closable` are the signed lots that the order could close where those are not `position_net` (hedging accounts).
    What only reduces never opens, whatever else works: it `reduces` while there is anything to reduce. On a hedging
    account that is what names its position, too.
    `filled` is what a REPLACE's order has dealt already: it is in the position, so only `open_lots` can still deal.
    `notional` is the order's value, `replaced_notional` what a REPLACE gives back of it. None means that the desk does
    not know, which refuses. What is no argument is worked out here, from what stands before `request`.
    A REPLACE that `eases` only takes away: lots, or time to work. What `is_exit` is a take-profit or stop-loss of a
    position; neither adds to what may come to be open. Lots that were `lots_given`, by a position or by the order that
    is replaced, are on no step where the step was changed since, or a venue dealt a part of one.
    """

    terms: OrderTerms
    instrument: Instrument
    account: Account
    group: Group
    limits: Limits
    now_us: int
    permissions: Permissions
    bid: Decimal | None = None
    ask: Decimal | None = None
    quote_at_us: int | None = None
    position_net: Decimal = ZERO
    closable: Decimal | None = None
    working_lots: Decimal = ZERO
    filled: Decimal = ZERO
    request: Request = Request.NEW
    states: tuple[TradingState, ...] = ()
    restricted: frozenset[str] = frozenset()
    session_open: bool = True
    notional: Decimal | None = None
    conversion_rate: Decimal | None = None
    replaced_notional: Decimal = ZERO
    window_notional: Decimal | None = None
    duplicate_at_us: int | None = None
    account_messages: int = 0
    tenant_messages: int = 0
    venue_messages: int = 0
    executions: int = 0
    throttle_latched: bool = False
    rejects_consecutive: int = 0
    rejects_percent: Decimal = ZERO
    margin_required: Decimal | None = None
    margin_free: Decimal | None = None
    position_gross: Decimal = ZERO
    orders_open: int = 0
    exposure_account: Decimal | None = None
    exposure_tenant: Decimal | None = None
    exposure_venue: Decimal | None = None
    exposure_firm: Decimal | None = None
    loss_today_account: Decimal | None = None
    loss_today_tenant: Decimal | None = None
    daily_volume_lots: Decimal | None = None
    self_trade: bool = False
    located_lots: Decimal = ZERO
    margin_percent: Decimal | None = None
    margin_percent_min: Decimal | None = None
    killed: bool = False
    override: Override | None = None
    order_id: str = ""
    review_due_at_us: int | None = None
    config_version: int = 0
    eases: bool = False
    is_exit: bool = False
    lots_given: bool = False
    sane: bool = field(init=False, default=False)
    open_lots: Decimal = field(init=False, default=ZERO)
    reduces: bool = field(init=False, default=False)
    age_ms: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        terms = self.terms
        self.sane = numbers_are_sane(terms=terms)
        if self.sane:
            self.open_lots = open_lots = terms.quantity - self.filled if self.filled else terms.quantity
            if held := self.position_net if self.closable is None else self.closable:
                opposite = (held > 0) is (terms.side is _SELL)
                bound = terms.reduce_only or self.closable is not None
                self.reduces = opposite and (bound or open_lots + self.working_lots <= abs(held))
        if self.quote_at_us is not None and self.bid is not None and self.ask is not None:
            age_us = self.now_us - self.quote_at_us
            # A part of a millisecond counts as one, so that nothing past a limit is at it.
            self.age_ms = -(-age_us // 1_000) if age_us > 0 else age_us // 1_000


def numbers_are_sane(*, terms: OrderTerms) -> bool:
    """Return whether every number of the terms is finite, above zero and not absurd; of others nothing can be asked."""
    quantity = terms.quantity
    if _unusable(quantity):
        return False
    return not (
        (terms.limit_price is not None and _unusable(terms.limit_price))
        or (terms.stop_price is not None and _unusable(terms.stop_price))
        or (terms.trailing_distance is not None and _unusable(terms.trailing_distance))
        or (terms.display_quantity is not None and _unusable(terms.display_quantity))
        or (terms.minimum_quantity is not None and _unusable(terms.minimum_quantity))
        or (terms.take_profit is not None and _unusable(terms.take_profit))
        or (terms.stop_loss is not None and _unusable(terms.stop_loss))
    )


def insane_number(*, terms: OrderTerms) -> str:
    """Return, in words, which number of terms that are not sane comes first."""
    given = ((name, getattr(terms, name)) for name in NUMBERS)
    return next(name for name, value in given if value is not None and _unusable(value)).replace("_", " ")


def at_most(*, code: str, value: Decimal | int | None, limit: Decimal | int | None, text: str) -> Check:
    """Return the check that `value` is at most `limit`; an unknown value and an unset limit refuse."""
    if value is None:
        return Check(code=code, passed=False, limit=str(limit), text=f"{text}: {UNKNOWN}")
    if limit is None:
        return Check(code=code, passed=False, value=str(value), text=f"{text}: {UNSET}")
    if value <= limit:
        return Check(code=code, passed=True, value=str(value), limit=str(limit))
    return Check(code=code, passed=False, value=str(value), limit=str(limit), text=text)


def unpriced(*, context: GateContext) -> str:
    """Return why the order has no value: its symbol is not quoted, or its currency cannot be converted."""
    symbol, quote, currency = context.terms.symbol, context.instrument.quote, context.account.currency
    quoted = context.bid is not None and context.ask is not None
    return f"no live price to convert {quote} to {currency}" if quoted else f"no live price for {symbol}"


def all_at_most(*, code: str, pairs: tuple[tuple[Decimal | int | None, Decimal | int | None, str], ...]) -> Check:
    """Return one check for several (value, limit, text): the first that fails, else the last, which passed.

    All that fail are in the text. The values are compared before any is made, for the gate stands in the way of every
    order.
    """
    for value, limit, text in pairs:
        if value is None or limit is None or value > limit:
            failed = [at_most(code=code, value=each, limit=most, text=why) for each, most, why in pairs]
            texts = [check.text for check in failed if not check.passed]
            first = at_most(code=code, value=value, limit=limit, text=text)
            return msgspec.structs.replace(first, text="; ".join(texts))
    return Check(code=code, passed=True, value=str(value), limit=str(limit))


def yes(*, code: str, passed: bool, text: str, value: str = "", limit: str = "") -> Check:
    """Return a check whose question has no number; `text` is why it fails."""
    return Check(code=code, passed=passed, value=value, limit=limit, text="" if passed else text)


def _unusable(number: Decimal) -> bool:
    return not number.is_finite() or number < NUMBER_MIN or number > NUMBER_MAX
