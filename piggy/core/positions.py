"""Positions: a pure fold of fills. A netting account holds one per symbol, a hedging account many, both ways.

A position keeps its cost (signed lots times price) rather than its average, so that nothing is lost by division:
whatever the order of the fills, net quantity and total profit come out the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import msgspec

from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side

BOOKS = ("A", "CROSS", "B")
# Which books a close takes its lots from, by the book of the close: its own first.
GIVES = {"A": BOOKS, "CROSS": ("CROSS", "A", "B"), "B": ("B", "A", "CROSS")}
# What a partial close takes out of cost and weight is cut here; the rest stays in the position, so sums are exact.
COST_STEP = Decimal("1E-10")
# A bust of one of the latest fills restates the average price; of an older one it moves the profit alone.
LIFE_FILLS_MAX = 64
_BUY, _SELL = Side.BUY, Side.SELL


class UnableToFoldFill(Exception):
    """A fill without a positive, finite quantity or without a finite price reached the fold: a defect upstream."""


class Position(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Signed lots of one symbol in one account; never flat (a flat position is None).

    `cost` is the sum of signed lots times price of what is open; `rate_weight` the sum of lots times the margin percent
    that each was opened at; `a_lots`, `cross_lots` and `b_lots` (unsigned) say in which book it was opened, for a close
    follows the book of its open. `news_lots` were opened in a news window and pay `news_percent` until `news_until_us`.
    """

    account_id: str
    symbol: str
    position_id: str
    quantity: Decimal
    cost: Decimal
    realised_quote: Decimal = ZERO
    opened_at_us: int = 0
    a_lots: Decimal = ZERO
    cross_lots: Decimal = ZERO
    b_lots: Decimal = ZERO
    rate_weight: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO
    news_until_us: int = 0

    @property
    def average_price(self) -> Decimal:
        """The volume-weighted open price, in the quote currency."""
        return self.cost / self.quantity

    @property
    def side(self) -> Side:
        return _BUY if self.quantity > 0 else _SELL

    @property
    def lots(self) -> Decimal:
        return abs(self.quantity)

    @property
    def book(self) -> str:
        """The book that holds most of it; A before CROSS before B among equals."""
        return max(BOOKS, key=self.lots_in)

    def lots_in(self, book: str) -> Decimal:
        """Return the unsigned lots that were opened in `book`."""
        if book == "A":
            return self.a_lots
        return self.cross_lots if book == "CROSS" else self.b_lots


class Fold(msgspec.Struct, frozen=True, gc=False):
    """What one fill did: the new position (None when flat), profit in the quote currency, lots closed and opened."""

    position: Position | None
    realised_quote: Decimal
    closed_lots: Decimal
    opened_lots: Decimal


class Booked(NamedTuple):
    """Profit as it was booked: in the account's currency, and in the quote currency that it was converted from."""

    money: Decimal
    quote: Decimal


NOTHING = Booked(ZERO, ZERO)


class Fill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fill as a history keeps it, so that a bust or a correction can be folded anew.

    What it realised was booked at `rate`, account currency per quote currency, by event `seq` of the log. What is
    `ahead` is said at `lots_ahead`.
    """

    fill_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    book: str = "B"
    at_us: int = 0
    margin_percent: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO
    news_until_us: int = 0
    rate: Decimal = Decimal(1)
    seq: int = 0
    ahead: Decimal = ZERO


class Names(NamedTuple):
    """Whose position in what a fill opens."""

    account_id: str = ""
    symbol: str = ""
    position_id: str = ""


@dataclass(slots=True)
class Life:
    """The fills of a position since it was last flat or turned; of a long life the first ones are summed in `base`.

    `loose` is what busts of the position booked beyond what the fills themselves had booked, flat or not.
    """

    base: Position | None = None
    fills: list[Fill] = field(default_factory=list)
    loose: Booked = NOTHING

    def take(self, *, fill: Fill, before: Position | None, after: Position | None, contract_size: Decimal) -> None:
        """Go on with a fill that made `after` of `before`."""
        if before is None or after is None or before.side is not after.side:
            self.base, self.fills = None, []
        if after is None:
            return
        if not self.fills and self.base is None and fill.quantity != after.lots:
            fill = msgspec.structs.replace(fill, quantity=after.lots)
        self.fills.append(fill)
        if len(self.fills) > LIFE_FILLS_MAX:
            names = Names(after.account_id, after.symbol, after.position_id)
            self.base = stepped(self.base, self.fills.pop(0), contract_size, names).position


def filled(
    *,
    position: Position | None,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    contract_size: Decimal,
    account_id: str = "",
    symbol: str = "",
    position_id: str = "",
    book: str = "B",
    at_us: int = 0,
    margin_percent: Decimal = ZERO,
    news_lots: Decimal = ZERO,
    news_percent: Decimal = ZERO,
    news_until_us: int = 0,
    ahead: Decimal = ZERO,
) -> Fold:
    """Return the position after a fill of `quantity` lots at `price`; a larger opposite fill closes and reverses.

    Names, `book`, `margin_percent` and the news fields belong to what the fill opens (of the opened lots, `news_lots`
    are new net volume in a news window; of what a venue opens, lots that are `ahead` are the B book's). Raises
    UnableToFoldFill for numbers that no fill can have.
    """
    if not (quantity.is_finite() and price.is_finite() and quantity > 0):
        raise UnableToFoldFill(f"{quantity} lots at {price}")
    if position is None or (position.quantity > 0) is (side is _BUY):
        base = position or _empty(account_id=account_id, symbol=symbol, position_id=position_id, at_us=at_us)
        grown = _grown(base, side.sign * quantity, price, book, margin_percent, ahead)
        return Fold(_taxed(grown, min(news_lots, quantity), news_percent, news_until_us), ZERO, ZERO, quantity)
    lots = abs(position.quantity)
    closed = min(quantity, lots)
    left, released = _shrunk(position, closed, book)
    realised = (-side.sign * closed * price - released) * contract_size
    opened = quantity - closed
    if left is not None:
        left = msgspec.structs.replace(left, realised_quote=position.realised_quote + realised)
        return Fold(left, realised, closed, ZERO)
    if not opened:
        return Fold(None, realised, closed, ZERO)
    base = _empty(
        account_id=position.account_id,
        symbol=position.symbol,
        position_id=position_id or position.position_id,
        at_us=at_us,
    )
    reversed_ = _grown(base, side.sign * opened, price, book, margin_percent, ahead)
    return Fold(_taxed(reversed_, min(news_lots, opened), news_percent, news_until_us), realised, closed, opened)


def folded(
    *, fills: Iterable[Fill], contract_size: Decimal, account_id: str = "", symbol: str = "", position_id: str = ""
) -> Fold:
    """Return the position and the profit that a whole history of fills leaves."""
    position: Position | None = None
    realised = closed = opened = ZERO
    for fill in fills:
        step = stepped(position, fill, contract_size, Names(account_id, symbol, position_id))
        position = step.position
        realised, closed, opened = realised + step.realised_quote, closed + step.closed_lots, opened + step.opened_lots
    return Fold(position, realised, closed, opened)


def booked(*, fills: Iterable[Fill], contract_size: Decimal, currency: str, base: Position | None = None) -> Decimal:
    """Return the profit that `fills` bring after what `base` holds, in `currency`, each at its own rate and rounded."""
    position, money = base, ZERO
    for fill in fills:
        step = stepped(position, fill, contract_size, Names())
        position = step.position
        money += round_money(amount=step.realised_quote * fill.rate, currency=currency)
    return money


def busted(*, fills: Iterable[Fill], fill_id: str) -> tuple[Fill, ...]:
    """Return the history without the fill that the venue took back; busting twice changes nothing."""
    return tuple(fill for fill in fills if fill.fill_id != fill_id)


def corrected(*, fills: Iterable[Fill], fill: Fill) -> tuple[Fill, ...]:
    """Return the history with `fill` in the place of the one of the same id; an unknown id changes nothing."""
    return tuple(fill if known.fill_id == fill.fill_id else known for known in fills)


def floating(*, position: Position, bid: Decimal, ask: Decimal, contract_size: Decimal) -> Decimal:
    """Return the open profit in the quote currency if closed now, a long at the bid, a short at the ask."""
    mark = bid if position.quantity > 0 else ask
    return (position.quantity * mark - position.cost) * contract_size


def held_since(*, position: Position, life: Life | None, at_us: int) -> Decimal:
    """Return the lots of a position that were held just before `at_us` and ever since.

    Of a life longer than LIFE_FILLS_MAX, what the first fills left counts as held as long as the position.
    """
    if position.opened_at_us >= at_us:
        return ZERO
    lots = fewest = position.lots
    # Venues' clocks differ, so fills are not all in order; what a bust dealt back was not there before it.
    later = (fill for fill in reversed(life.fills if life else ()) if fill.at_us >= at_us)
    for fill in later:
        lots += -fill.quantity if fill.side is position.side else fill.quantity
        fewest = min(fewest, lots)
    return max(ZERO, fewest)


def close_split(*, position: Position, quantity: Decimal) -> dict[str, Decimal]:
    """Return how many lots of a close belong to each book, A first, then CROSS, then B; never more than is open."""
    split: dict[str, Decimal] = {}
    left = min(quantity, position.lots)
    for book in BOOKS:
        part = min(left, position.lots_in(book))
        if part > 0:
            split[book] = part
            left -= part
    return split


def kept_lots(*, position: Position | None) -> Decimal:
    """Return the signed lots of a position that the house keeps, in its B book."""
    return position.side.sign * position.b_lots if position else ZERO


def opening_lots(*, position: Position | None, side: Side, quantity: Decimal) -> Decimal:
    """Return how many of `quantity` lots would open rather than close."""
    if position is None or position.side is side:
        return quantity
    return max(ZERO, quantity - position.lots)


def stepped(position: Position | None, fill: Fill, contract_size: Decimal, names: Names) -> Fold:
    """Return the position after a fill of its history."""
    return filled(
        position=position,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        contract_size=contract_size,
        account_id=names.account_id,
        symbol=names.symbol,
        position_id=names.position_id,
        book=fill.book,
        at_us=fill.at_us,
        margin_percent=fill.margin_percent,
        news_lots=fill.news_lots,
        news_percent=fill.news_percent,
        news_until_us=fill.news_until_us,
        ahead=fill.ahead,
    )


def lots_ahead(*, position: Position | None, side: Side, quantity: Decimal, book: str, owed: Decimal) -> Decimal:
    """Return by how much a fill of `position` is ahead of its order's other book.

    An order that turns a mixed position round is kept in part at once, before venues have closed the rest. Of what is
    kept those are the A book's lots that it closes; of what a venue deals the lots that it opens for the B book
    in return, out of what the order still has `owed`. So each book has what was dealt in it once all is done.
    """
    if book == "A":
        return min(owed, opening_lots(position=position, side=side, quantity=quantity))
    if book != "B" or position is None or position.side is side:
        return ZERO
    return min(position.a_lots, max(ZERO, min(quantity, position.lots) - position.b_lots))


def ahead_in(*, life: Life | None, fill_id: str) -> Decimal:
    """Return the lots that a venue's fill opened for the B book, as its position's present life tells."""
    fills = life.fills if life else ()
    return sum((fill.ahead for fill in fills if fill.fill_id == fill_id and fill.book == "A"), ZERO)


def netted_id(*, account_id: str, symbol: str) -> str:
    """Return the id of the one position that a netting account has in a symbol."""
    return f"{account_id}:{symbol}"


def _empty(*, account_id: str, symbol: str, position_id: str, at_us: int) -> Position:
    return Position(
        account_id=account_id, symbol=symbol, position_id=position_id, quantity=ZERO, cost=ZERO, opened_at_us=at_us
    )


def _grown(
    position: Position, signed: Decimal, price: Decimal, book: str, margin_percent: Decimal, ahead: Decimal
) -> Position:
    lots = abs(signed)
    kept = min(ahead, lots) if book == "A" else ZERO
    return Position(
        account_id=position.account_id,
        symbol=position.symbol,
        position_id=position.position_id,
        quantity=position.quantity + signed,
        cost=position.cost + signed * price,
        realised_quote=position.realised_quote,
        opened_at_us=position.opened_at_us,
        a_lots=position.a_lots + lots - kept if book == "A" else position.a_lots,
        cross_lots=position.cross_lots + lots if book == "CROSS" else position.cross_lots,
        b_lots=position.b_lots + kept if book in ("A", "CROSS") else position.b_lots + lots,
        rate_weight=position.rate_weight + lots * margin_percent,
        news_lots=position.news_lots,
        news_percent=position.news_percent,
        news_until_us=position.news_until_us,
    )


def _taxed(position: Position, lots: Decimal, percent: Decimal, until_us: int) -> Position:
    """Mark `lots` as opened in a news window; of two windows the dearer percent and the later end stand for all."""
    if lots <= 0:
        return position
    return msgspec.structs.replace(
        position,
        news_lots=position.news_lots + lots,
        news_percent=max(position.news_percent, percent),
        news_until_us=max(position.news_until_us, until_us),
    )


def _shrunk(position: Position, closed: Decimal, book: str) -> tuple[Position | None, Decimal]:
    """Return what is left and the cost released; the book of the close gives first, then A, CROSS, B."""
    lots = position.lots
    if closed == lots:
        return None, position.cost
    cost = (position.cost * closed / lots).quantize(COST_STEP, rounding=ROUND_HALF_EVEN)
    weight = (position.rate_weight * closed / lots).quantize(COST_STEP, rounding=ROUND_HALF_EVEN)
    held = {name: position.lots_in(name) for name in BOOKS}
    left = closed
    for name in GIVES.get(book, BOOKS):
        part = min(left, held[name])
        held[name] -= part
        left -= part
    # Taxed lots go first: a client who unwinds what was opened in the news window stops paying for it.
    smaller = msgspec.structs.replace(
        position,
        quantity=position.quantity - (closed if position.quantity > 0 else -closed),
        cost=position.cost - cost,
        rate_weight=position.rate_weight - weight,
        a_lots=held["A"],
        cross_lots=held["CROSS"],
        b_lots=held["B"],
        news_lots=max(ZERO, position.news_lots - closed),
    )
    return smaller, cost
