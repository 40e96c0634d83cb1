"""Reconciliation: a venue's statement against our own record of its executions, line by line; every difference named.

Lines are matched by the venue's own reference of the execution. What matches is compared number by number, so that one
line may have several breaks; a line of another symbol or side is no match at all. An execution that we do not have is
missing here where its order is ours, and an unknown fill where the order is none of ours. What the venue holds for us
at the end, lots by symbol and money by currency, is compared with what our own executions add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.money import ZERO, plain
from piggy.core.orders import Side


class BreakKind(StrEnum):
    """What is wrong, seen from here."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    QUANTITY = "quantity"
    PRICE = "price"
    FEE = "fee"
    DATE = "date"
    DUPLICATE = "duplicate"
    UNKNOWN_FILL = "unknown_fill"
    POSITION = "position"
    CASH = "cash"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution as either party has it; lots, price and fee in the quote currency, `fee` None where unsaid.

    `line` is where a statement says it, 0 in our own record; `order` our id of the order where a statement names one.
    """

    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    traded_on: date
    fee: Decimal | None = None
    line: int = 0
    order: str = ""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says it holds for us: lots of a symbol, above zero long, or an amount of a currency."""

    name: str
    amount: Decimal
    stated_on: date
    line: int = 0


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an execution that we do not have an unknown fill.

    `orders` are ours of those that the statement names, `suspended` the references that fitted no order as they came.
    """

    orders: Collection[str] = ()
    suspended: Collection[str] = ()


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """By how much numbers may differ without being a break; lots never may."""

    price: Decimal = Decimal(0)
    fee: Decimal = Decimal("0.01")


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One difference: `ours` and `theirs` as people read them, '' where there is nothing; the date is ours if known."""

    kind: BreakKind
    reference: str
    symbol: str
    ours: str
    theirs: str
    traded_on: date
    line: int = 0


def breaks(
    *, ours: Iterable[Execution], theirs: Sequence[Execution], tolerance: Tolerance, known_as: Ours = Ours()
) -> tuple[Break, ...]:
    """Return every difference between our executions and a statement of the same days, in the statement's order.

    Of a reference that the statement has twice the first line counts, the others are duplicates, unless we have it as
    often: some venues begin anew with each day.
    """
    known: dict[str, list[Execution]] = {}
    for each in ours:
        known.setdefault(each.reference, []).append(each)
    seen: dict[str, str] = {}
    found: list[Break] = []
    for line in theirs:
        is_again = line.reference in seen
        mine = _taken(line, known.get(line.reference, []), is_again)
        if is_again and mine is None:
            found.append(_break(BreakKind.DUPLICATE, line, seen[line.reference], told(line=line)))
            continue
        seen[line.reference] = told(line=mine) if mine else ""
        if mine is None:
            found.append(_break(_lacking(line, known_as), line, "", told(line=line)))
        elif (mine.symbol, mine.side) != (line.symbol, line.side):
            found.append(_break(BreakKind.MISSING_HERE, line, "", told(line=line)))
            found.append(_break(BreakKind.MISSING_THERE, mine, told(line=mine), ""))
        else:
            found += _compared(mine, line, tolerance)
    found += [_break(BreakKind.MISSING_THERE, mine, told(line=mine), "") for left in known.values() for mine in left]
    return tuple(found)


def held_breaks(
    *,
    kind: BreakKind,
    ours: Mapping[str, Decimal],
    theirs: Sequence[Holding],
    stated_on: date,
    tolerance: Mapping[str, Decimal] = {},
) -> tuple[Break, ...]:
    """Return where a venue's holdings are not ours, by name; of a name that is stated twice the last line counts.

    A venue that states nothing at all is not compared; one that leaves out a name has none of it.
    """
    stated = {each.name: each for each in theirs}
    found = []
    for name in sorted(stated.keys() | ours.keys()) if stated else ():
        mine, line = ours.get(name, ZERO), stated.get(name)
        if abs(mine - (line.amount if line else ZERO)) > tolerance.get(name, ZERO):
            found.append(
                Break(
                    kind=kind,
                    reference=f"{kind.value}:{name}",
                    symbol=name,
                    ours=plain(mine),
                    theirs=plain(line.amount) if line else "",
                    traded_on=line.stated_on if line else stated_on,
                    line=line.line if line else 0,
                )
            )
    return tuple(found)


def net_lots(*, executions: Iterable[Execution]) -> dict[str, Decimal]:
    """Return what executions add up to by symbol, above zero long; a flat symbol is left out."""
    net: dict[str, Decimal] = {}
    for each in executions:
        net[each.symbol] = net.get(each.symbol, ZERO) + each.side.sign * each.quantity
    return {symbol: lots for symbol, lots in net.items() if lots}


def cash_moved(
    *, executions: Iterable[Execution], since: date, terms: Callable[[str], tuple[Decimal, str]]
) -> tuple[dict[str, Decimal], dict[str, int]]:
    """Return by quote currency what executions from `since` on made at average cost less fees, and how many they were.

    `executions` begin with the first ever, for what is closed was opened once; `terms` gives contract size and
    currency of a symbol.
    """
    held: dict[str, tuple[Decimal, Decimal]] = {}
    moved: dict[str, Decimal] = {}
    count: dict[str, int] = {}
    for each in executions:
        size, currency = terms(each.symbol)
        lots, cost = held.get(each.symbol, (ZERO, ZERO))
        signed, made = each.side.sign * each.quantity, ZERO
        if lots * signed < 0:
            closed = min(abs(lots), each.quantity) * (1 if signed > 0 else -1)
            released = -cost * closed / lots
            made = (-closed * each.price - released) * size
            lots, cost, signed = lots + closed, cost - released, signed - closed
        held[each.symbol] = (lots + signed, cost + signed * each.price)
        if each.traded_on >= since:
            moved[currency] = moved.get(currency, ZERO) + made - (each.fee or ZERO)
            count[currency] = count.get(currency, 0) + 1
    return moved, count


def told(*, line: Execution) -> str:
    """Return an execution as people read it."""
    return f"{line.side.value} {plain(line.quantity)} {line.symbol} at {plain(line.price)} on {line.traded_on}"


def _taken(line: Execution, left: list[Execution], is_again: bool) -> Execution | None:
    """Take the execution that a line is of from those that are left: its own day's, before any of that reference."""
    same = [each for each in left if (each.symbol, each.side) == (line.symbol, line.side)]
    of_day = [each for each in same if each.traded_on == line.traded_on]
    fitting = of_day if is_again else of_day or same or left
    if not fitting:
        return None
    mine = fitting[0]
    left.remove(mine)
    return mine


def _lacking(line: Execution, known_as: Ours) -> BreakKind:
    is_strange = line.reference in known_as.suspended or (line.order and line.order not in known_as.orders)
    return BreakKind.UNKNOWN_FILL if is_strange else BreakKind.MISSING_HERE


def _compared(mine: Execution, line: Execution, tolerance: Tolerance) -> list[Break]:
    found = []
    if mine.quantity != line.quantity:
        found.append(_break(BreakKind.QUANTITY, line, plain(mine.quantity), plain(line.quantity), mine.traded_on))
    if abs(mine.price - line.price) > tolerance.price:
        found.append(_break(BreakKind.PRICE, line, plain(mine.price), plain(line.price), mine.traded_on))
    if mine.fee is not None and line.fee is not None and abs(mine.fee - line.fee) > tolerance.fee:
        found.append(_break(BreakKind.FEE, line, plain(mine.fee), plain(line.fee), mine.traded_on))
    if mine.traded_on != line.traded_on:
        found.append(_break(BreakKind.DATE, line, str(mine.traded_on), str(line.traded_on), mine.traded_on))
    return found


def _break(kind: BreakKind, line: Execution, ours: str, theirs: str, traded_on: date | None = None) -> Break:
    return Break(
        kind=kind,
        reference=line.reference,
        symbol=line.symbol,
        ours=ours,
        theirs=theirs,
        traded_on=traded_on or line.traded_on,
        line=line.line,
    )
