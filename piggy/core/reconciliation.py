"""Reconciliation: a venue's statement against our own record of its executions, line by line; every difference named.

Lines are matched by the venue's own reference of the execution. What matches is compared number by number, so that one
line may have several breaks; a line of another symbol or side is no match at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.money import plain
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


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution as either party has it; lots, price and fee in the quote currency, `fee` None where unsaid.

    `line` is where a statement says it, 0 in our own record.
    """

    reference: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    traded_on: date
    fee: Decimal | None = None
    line: int = 0


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


def breaks(*, ours: Iterable[Execution], theirs: Sequence[Execution], tolerance: Tolerance) -> tuple[Break, ...]:
    """Return every difference between our executions and a statement of the same days, in the statement's order.

    Of a reference that the statement has twice the first line counts, the others are duplicates.
    """
    known = {each.reference: each for each in ours}
    seen: set[str] = set()
    found: list[Break] = []
    for line in theirs:
        mine = known.get(line.reference)
        if line.reference in seen:
            found.append(_break(BreakKind.DUPLICATE, line, told(line=mine) if mine else "", told(line=line)))
            continue
        seen.add(line.reference)
        if mine is None:
            found.append(_break(BreakKind.MISSING_HERE, line, "", told(line=line)))
        elif (mine.symbol, mine.side) != (line.symbol, line.side):
            found.append(_break(BreakKind.MISSING_HERE, line, "", told(line=line)))
            found.append(_break(BreakKind.MISSING_THERE, mine, told(line=mine), ""))
        else:
            found += _compared(mine, line, tolerance)
    found += [
        _break(BreakKind.MISSING_THERE, mine, told(line=mine), "")
        for reference, mine in known.items()
        if reference not in seen
    ]
    return tuple(found)


def told(*, line: Execution) -> str:
    """Return an execution as people read it."""
    return f"{line.side.value} {plain(line.quantity)} {line.symbol} at {plain(line.price)} on {line.traded_on}"


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
